"""A regressor's network run by torch: on a GPU in batches, on the CPU a picture at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unprompt.errors import NoRoomError
from unprompt.models.regressors.torch_folder import load_network
from unprompt.models.store.folder import ModelFolder
from unprompt.prediction import Vector

GPU_BATCH = 64

_log = logging.getLogger(__name__)


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


class ShrinkingBatches:
    """Computes rows in batches that are halved, now and from then on, when the device has no room for one.

    The first time that is said. `what` a row is stands in messages. Raises NoRoomError where there is none for one;
    whoever asks again then has made room, so that begins with whole batches.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], size: int, what: str = "picture") -> None:
        self._compute, self._what = compute, what
        self.size = self._first = size
        self._has_told = False

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
                    self.begin_anew()
                    raise NoRoomError(f"one {self._what}") from error
                if not self._has_told:
                    self._has_told = True
                    _log.warning("the device has no room for %d %ss at once: going on with fewer", size, self._what)
                self.size = (size + 1) // 2
            else:
                at += size
        return torch.cat(parts)

    def begin_anew(self) -> None:
        """There may be more room than before: the next batch is a whole one."""
        self.size = self._first
