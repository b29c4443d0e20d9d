"""Runs a regressor's network with torch: in batches on a GPU, one picture at a time on the CPU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from unprompt.models.networks.device import GPU_BATCH, OnDevice, ShrinkingBatches
from unprompt.models.regressors.seen import Seen
from unprompt.models.regressors.torch_folder import load_network
from unprompt.models.store.folder import ModelFolder
from unprompt.prediction import EMBEDDING_SIZE


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

    def see(self, pixels: npt.NDArray[np.float32]) -> Seen:
        """Map pixels (batch, 3, input_size, input_size) to what the model sees.

        Raises NoRoomError if the device has no room for the weights or for one picture.
        """
        rows = np.concatenate(list(self._batches(pixels, self._compute)))
        return Seen(rows[:, :EMBEDDING_SIZE], rows[:, EMBEDDING_SIZE:])

    def unload(self) -> None:
        """Free device memory; the weights wait in main memory."""
        self._batches.reset()
        self._network.unload()

    def _compute(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Vectors and, beside them, the probabilities of concepts (batch, 384 + concepts)."""
        network = self._network.bring()
        with torch.inference_mode():
            features = network.features(torch.from_numpy(pixels).to(self._network.device))
            rows = network.project(features)
            if network.concept_head is not None:
                rows = torch.cat([rows, network.concept_logits(features).sigmoid()], dim=1)
        return np.asarray(rows.cpu().numpy(), np.float32)
