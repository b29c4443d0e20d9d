"""A memory budget shared by several threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Room:
    """A memory budget: a thread that needs more than is left waits; one that needs more than all of it runs alone."""

    def __init__(self, limit_mb: float) -> None:
        self._limit = _bytes(limit_mb)
        self._taken = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, needed_mb: float) -> Iterator[None]:
        """Reserve memory while the block runs, after waiting until there is enough. Must not be nested."""
        needed = min(_bytes(needed_mb), self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + needed <= self._limit)
            self._taken += needed
        try:
            yield
        finally:
            with self._changed:
                self._taken -= needed
                self._changed.notify_all()


def _bytes(megabytes: float) -> int:
    """Whole bytes: sums of fractions may not return to 0, and a thread that needs everything would wait for ever."""
    return round(megabytes * 1_000_000)
