"""Memory that several threads share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Room:
    """So much memory for all: who needs more than is left waits, and who needs more than all of it works alone."""

    def __init__(self, limit_mb: float) -> None:
        self._limit_mb = limit_mb
        self._taken_mb = 0.0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, needed_mb: float) -> Iterator[None]:
        """Holds memory while the block runs; waits until there is some. Not to be nested."""
        needed_mb = min(needed_mb, self._limit_mb)
        with self._changed:
            self._changed.wait_for(lambda: self._taken_mb + needed_mb <= self._limit_mb)
            self._taken_mb += needed_mb
        try:
            yield
        finally:
            with self._changed:
                self._taken_mb -= needed_mb
                self._changed.notify_all()
