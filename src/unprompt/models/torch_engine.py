"""A regressor's network run by torch: on a GPU in batches, on the CPU a picture at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unprompt.errors import NoRoomError
from unprompt.models.folder import ModelFolder
from unprompt.models.torch_folder import load_network
from unprompt.prediction import Vector

GPU_BATCH = 64

_log = logging.getLogger(__name__)


class TorchEngine:
    """The network of a folder, on a GPU where there is one. Raises ModelError: see `load_network`."""

    def __init__(self, folder: ModelFolder) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = load_network(folder, self._device)
        self._batches = ShrinkingBatches(self._on_device, GPU_BATCH)
        self.batched = self._device.type == "cuda"

    def prepare_thread(self) -> None:
        """On the CPU a picture has one core: the last bits of a sum depend on how many share in it."""
        if not self.batched:
            torch.set_num_threads(1)

    def vectors(self, pixels: npt.NDArray[np.float32]) -> Vector:
        """See `Engine`."""
        with torch.inference_mode():
            return np.asarray(self._batches(torch.from_numpy(pixels)).numpy(), np.float32)

    def _on_device(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self._network(pixels.to(self._device))
        return vectors.cpu()


class ShrinkingBatches:
    """Computes rows in batches that are halved, now and from then on, when the device has no room for one.

    The first time that is said. `what` a row is stands in messages. Raises NoRoomError where there is none for one.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], size: int, what: str = "picture") -> None:
        self._compute, self._what = compute, what
        self.size = self._first = size

    def __call__(self, rows: Tensor) -> Tensor:
        """rows (n, ...); returns what `compute` makes of them, in their order."""
        parts: list[Tensor] = []
        at = 0
        while at < len(rows):
            size = self.size
            try:
                parts.append(self._compute(rows[at : at + size]))
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise NoRoomError(f"one {self._what}") from error
                if self.size == self._first:
                    _log.warning("the device has no room for %d %ss at once: going on with fewer", size, self._what)
                self.size = (size + 1) // 2
            else:
                at += size
        return torch.cat(parts)
