"""Batches that are halved when the device has no room for one."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from unprompt.errors import NoRoomError

GPU_BATCH = 64


_log = logging.getLogger(__name__)


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
