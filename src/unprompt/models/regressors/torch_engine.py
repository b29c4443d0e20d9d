"""A regressor's network run by torch: on a GPU in batches, on the CPU a picture at a time."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unprompt.errors import NoRoomError
from unprompt.models.networks.batches import GPU_BATCH, ShrinkingBatches
from unprompt.models.regressors.torch_folder import load_network
from unprompt.models.store.folder import ModelFolder
from unprompt.prediction import Vector


class TorchEngine:
    """The network of a folder, on a GPU where there is one. Raises ModelError: see `load_network`."""

    def __init__(self, folder: ModelFolder) -> None:
        self._name = folder.name
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = load_network(folder)
        self._moving = threading.Lock()
        self._has_moved = False
        self._batches = ShrinkingBatches(self._on_device, GPU_BATCH)
        self.batched = self._device.type == "cuda"

    def prepare_thread(self) -> None:
        """On the CPU a picture has one core: the last bits of a sum depend on how many share in it."""
        if not self.batched:
            torch.set_num_threads(1)

    def vectors(self, pixels: npt.NDArray[np.float32]) -> Vector:
        """See `Engine`. Raises NoRoomError where the device has none for the weights or for one picture."""
        self._bring()
        with torch.inference_mode():
            return np.asarray(self._batches(torch.from_numpy(pixels)).numpy(), np.float32)

    def unload(self) -> None:
        """See `Engine`. The weights wait in main memory."""
        with self._moving:
            self._has_moved = False
            self._batches.begin_anew()
            if self._device.type == "cuda":
                self._network.to("cpu")
                torch.cuda.empty_cache()

    def _bring(self) -> None:
        with self._moving:
            if self._has_moved:
                return
            try:
                self._network.to(self._device)
            except torch.OutOfMemoryError as error:
                raise NoRoomError(self._name) from error
            self._has_moved = True

    def _on_device(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self._network(pixels.to(self._device))
        return vectors.cpu()
