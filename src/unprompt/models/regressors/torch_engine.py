"""Runs a regressor's network with torch: in batches on a GPU, one picture at a time on the CPU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from unprompt.models.networks.device import GPU_BATCH, OnDevice, ShrinkingBatches
from unprompt.models.regressors.torch_folder import load_network
from unprompt.models.store.folder import ModelFolder
from unprompt.prediction import Vector


class TorchEngine:
    """A folder's network, on a GPU if there is one. Raises ModelError as `load_network` does."""

    def __init__(self, folder: ModelFolder) -> None:
        self._network = OnDevice(folder.name, lambda device: load_network(folder))
        self._network.load()
        self._batches = ShrinkingBatches(GPU_BATCH)
        self.batched = self._network.device.type == "cuda"

    def prepare_thread(self) -> None:
        """Give a picture one core on the CPU: the last bits of a sum depend on the number of threads."""
        if not self.batched:
            torch.set_num_threads(1)

    def vectors(self, pixels: npt.NDArray[np.float32]) -> Vector:
        """Map pixels (batch, 3, input_size, input_size) to unit vectors (batch, 384).

        Raises NoRoomError if the device has no room for the weights or for one picture.
        """
        return np.concatenate(list(self._batches(pixels, self._compute)))

    def unload(self) -> None:
        """Free device memory; the weights wait in main memory."""
        self._batches.reset()
        self._network.unload()

    def _compute(self, pixels: npt.NDArray[np.float32]) -> Vector:
        network = self._network.bring()
        with torch.inference_mode():
            vectors = network(torch.from_numpy(pixels).to(self._network.device))
        return np.asarray(vectors.cpu().numpy(), np.float32)
