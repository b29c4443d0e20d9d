"""A regressor's network run by torch: on a GPU in batches, on the CPU a picture at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from unprompt.models.networks.device import GPU_BATCH, OnDevice, ShrinkingBatches
from unprompt.models.regressors.torch_folder import load_network
from unprompt.models.store.folder import ModelFolder
from unprompt.prediction import Vector


class TorchEngine:
    """The network of a folder, on a GPU where there is one. Raises ModelError: see `load_network`."""

    def __init__(self, folder: ModelFolder) -> None:
        self._network = OnDevice(folder.name, lambda device: load_network(folder))
        self._network.load()
        self._batches = ShrinkingBatches(GPU_BATCH)
        self.batched = self._network.device.type == "cuda"

    def prepare_thread(self) -> None:
        """On the CPU a picture has one core: the last bits of a sum depend on how many share in it."""
        if not self.batched:
            torch.set_num_threads(1)

    def vectors(self, pixels: npt.NDArray[np.float32]) -> Vector:
        """See `Engine`. Raises NoRoomError where the device has none for the weights or for one picture."""
        return np.concatenate(list(self._batches(pixels, self._compute)))

    def unload(self) -> None:
        """See `Engine`. The weights wait in main memory."""
        self._batches.reset()
        self._network.unload()

    def _compute(self, pixels: npt.NDArray[np.float32]) -> Vector:
        network = self._network.bring()
        with torch.inference_mode():
            vectors = network(torch.from_numpy(pixels).to(self._network.device))
        return np.asarray(vectors.cpu().numpy(), np.float32)
