"""Ctrl-C and requests to end, obeyed between two answers: what is being written is written whole."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from types import FrameType
from typing import Any, TypeVar

from unprompt.errors import EXIT_INTERRUPTED

Item = TypeVar("Item")

PATIENCE_S = 2.0
"""A second Ctrl-C within this time is the first one's echo: a terminal sends it to every process of a group."""


class Interrupts:
    """While entered, SIGINT and SIGTERM raise KeyboardInterrupt, but only while `between` waits for an item.

    One that comes while an item is used counts when the next is asked for; one that comes after the last changes
    nothing, for then all is done. A second one, after some patience, ends the process at once, as a kill would. Signals
    that the process was told to ignore stay ignored; outside the main thread nothing is changed.
    """

    def __init__(self) -> None:
        self._asked_s: float | None = None
        self._waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def between(self, items: Generator[Item, None, None]) -> Iterator[Item]:
        """The items; closed when an interrupt ends them."""
        with contextlib.closing(items):
            while True:
                try:
                    self._waiting = True
                    if self._asked_s is not None:
                        raise KeyboardInterrupt
                    item = next(items)
                except StopIteration:
                    return
                except Exception as error:
                    if self._asked_s is not None:  # compiled modules make an ImportError of it
                        raise KeyboardInterrupt from error
                    raise
                finally:
                    self._waiting = False
                yield item

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self._asked_s is None:
            self._asked_s = now_s
            if self._waiting:
                raise KeyboardInterrupt
        elif now_s - self._asked_s > PATIENCE_S:
            os._exit(EXIT_INTERRUPTED)
