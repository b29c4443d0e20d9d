"""Memory that several threads share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Room:
    """So much memory for all: who needs more than is left waits, and who needs more than all of it works alone."""

    def __init__(self, limit_mb: float) -> None:
        self._limit = _bytes(limit_mb)
        self._taken = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, needed_mb: float) -> Iterator[None]:
        """Holds memory while the block runs; waits until there is some. Not to be nested."""
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
    """Whole, for a sum of fractions need not come back to 0, and whoever needs all the room would wait for ever."""
    return round(megabytes * 1_000_000)
