"""Networks on a device: moved there and back, and asked in batches that fit (torch)."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from unprompt.errors import NoRoomError

GPU_BATCH = 64

_log = logging.getLogger(__name__)


class _Sliceable(Protocol):
    """A list, an array or a tensor."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


Held = TypeVar("Held")
Rows = TypeVar("Rows", bound=_Sliceable)
Result = TypeVar("Result")


def best_device() -> torch.device:
    """A GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def room_for(what: str, ways: str | None = None) -> Iterator[None]:
    """Raises NoRoomError where the device runs out of memory in the block; `what` and `ways` stand in its message."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise NoRoomError(what, ways) from error


class OnDevice(Generic[Held]):
    """A network, or what has one: loaded when it is first asked for, on its device until others need the room there.

    `load` reads the weights for a device, `network_of` gives the module that is to be moved, `device` is a GPU where
    there is one by default. On the CPU, where weights that wait take the room of others, what `forgets` is loaded
    again. May be used by several threads at once.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[torch.device], Held],
        *,
        network_of: Callable[[Any], nn.Module] = lambda held: held,
        device: str | torch.device | None = None,
        forgets: bool = False,
        ways: str | None = None,
    ) -> None:
        self.device = best_device() if device is None else torch.device(device)
        self.held: Held | None = None
        self._name, self._load, self._network_of = name, load, network_of
        self._forgets, self._ways = forgets, ways
        self._has_moved = False
        self._lock = threading.RLock()

    def load(self) -> Held:
        """It, wherever it is. Raises NoRoomError, and what its `load` raises."""
        with self._lock:
            if self.held is None:
                with room_for(self._name, self._ways):
                    self.held = self._load(self.device)
            return self.held

    def bring(self) -> Held:
        """It, on its device. Raises as `load` does."""
        with self._lock:
            held = self.load()
            if not self._has_moved:
                with room_for(self._name, self._ways):
                    self._network_of(held).to(self.device)
                self._has_moved = True
            return held

    def unload(self) -> None:
        """Makes what room it can on the device: the weights wait in main memory until they are asked for again."""
        with self._lock:
            self._has_moved = False
            if self._forgets and self.device.type == "cpu":
                self.held = None
            elif self.held is not None and self.device.type != "cpu":
                self._network_of(self.held).to("cpu")
                torch.cuda.empty_cache()


class ShrinkingBatches:
    """Computes rows in batches that are halved, now and from then on, when the device has no room for one.

    The first time, `tell` is told. A batch takes `size` rows or, of rows that are not alike, as many as `fitting` says;
    a row is called `what` in messages, and `ways` are what the user may do. Raises NoRoomError where there is no room
    for one row; whoever asks again has made room, so that begins with whole batches.
    """

    def __init__(
        self,
        size: int,
        what: str = "picture",
        *,
        fitting: Callable[[Any, int], int] = lambda rows, size: size,
        ways: str | None = None,
        tell: Callable[[str], None] = _log.warning,
    ) -> None:
        self.size = self._first = size
        self._what, self._ways = what, ways
        self._fitting, self._tell = fitting, tell
        self._has_told = False

    def __call__(self, rows: Rows, compute: Callable[[Rows], Result]) -> Iterator[Result]:
        """What `compute` makes of each batch, in the order of the rows."""
        at = 0
        while at < len(rows):
            batch: Rows = rows[at : at + self._fitting(rows[at:], self.size)]
            try:
                found = compute(batch)
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    self.begin_anew()
                    raise NoRoomError(f"one {self._what}", self._ways) from error
                self._shrink(batch)
            else:
                at += len(batch)
                yield found

    def begin_anew(self) -> None:
        """There may be more room than before: the next batch is a whole one."""
        self.size = self._first

    def _shrink(self, tried: Rows) -> None:
        while self._fitting(tried, self.size) >= len(tried):
            self.size = (self.size + 1) // 2
        if not self._has_told:
            self._has_told = True
            self._tell(f"the device has no room for {len(tried)} {self._what}s at once: going on with fewer")
