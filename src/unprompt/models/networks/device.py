"""Networks on a device: moved there and back, and run in batches that fit into its memory (torch)."""

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
    """A sequence, an array or a tensor."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


Held = TypeVar("Held")
Rows = TypeVar("Rows", bound=_Sliceable)
Result = TypeVar("Result")


def best_device() -> torch.device:
    """A GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def room_for(what: str, ways: str | None = None) -> Iterator[None]:
    """Turn an out-of-memory error of the device into NoRoomError, with `what` and `ways` in its message."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise NoRoomError(what, ways) from error


class OnDevice(Generic[Held]):
    """A network, or an object that contains one: loaded on first use, and on its device until it is unloaded.

    `load` reads the weights for a device; `network_of` returns the module that is moved. The default device is a GPU if
    there is one. With `forgets`, unloading on the CPU drops the weights, and the next use loads them again. `name` and
    `ways` appear in the message of NoRoomError. Safe to use from several threads.
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
        """Return it wherever it is; the first call loads it. Raises NoRoomError, and what the given `load` raises."""
        with self._lock:
            if self.held is None:
                with room_for(self._name, self._ways):
                    self.held = self._load(self.device)
            return self.held

    def bring(self) -> Held:
        """Return it, on its device. Raises as `load` does."""
        with self._lock:
            held = self.load()
            if not self._has_moved:
                with room_for(self._name, self._ways):
                    self._network_of(held).to(self.device)
                self._has_moved = True
            return held

    def unload(self) -> None:
        """Free memory on the device: the weights move to main memory until the next use."""
        with self._lock:
            self._has_moved = False
            if self._forgets and self.device.type == "cpu":
                self.held = None
            elif self.held is not None and self.device.type != "cpu":
                self._network_of(self.held).to("cpu")
                torch.cuda.empty_cache()


class ShrinkingBatches:
    """Computes rows in batches; when the device runs out of memory, the batches are halved, in later calls as well.

    A batch has `size` rows. If rows differ in size, `fitting(rows, size)` returns how many of the first rows go into a
    batch, at least one. `what` names a row in messages, `ways` says what the user can do, and `tell` receives a message
    when batches are halved for the first time. Raises NoRoomError if a single row does not fit; the next call then
    starts with full batches, because the caller has made room.
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
        """Yield the result of `compute` for each batch, in the order of the rows."""
        at = 0
        while at < len(rows):
            batch: Rows = rows[at : at + self._fitting(rows[at:], self.size)]
            try:
                found = compute(batch)
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    self.reset()
                    raise NoRoomError(f"one {self._what}", self._ways) from error
                self._shrink(batch)
            else:
                at += len(batch)
                yield found

    def reset(self) -> None:
        """Go back to full batches, because there may be more room than before."""
        self.size = self._first

    def _shrink(self, tried: Rows) -> None:
        while self._fitting(tried, self.size) >= len(tried):
            self.size = (self.size + 1) // 2
        if not self._has_told:
            self._has_told = True
            self._tell(f"the device has no room for {len(tried)} {self._what}s at once: going on with fewer")
