"""Ctrl-C and requests to end: none is lost, and between two answers what is being written is written whole."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

from unprompt.errors import EXIT_INTERRUPTED

Item = TypeVar("Item")

PATIENCE_S = 2.0
"""A second Ctrl-C within this time is the first one's echo: a terminal sends it to every process of a group."""


@dataclass
class _Asked:
    """Since when the command is asked to end; whether what asks for it may be raised where it comes."""

    since_s: float | None = None
    may_raise: bool = True


_asked = _Asked()


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """While a command runs, a Ctrl-C is remembered until it has ended the command; see `check`.

    Raising KeyboardInterrupt is not enough. While modules load and objects go away, compiled code calls Python that no
    exception gets out of: there it is lost, or becomes an ImportError that somebody expects and passes over.
    """
    _asked.since_s, _asked.may_raise = None, True
    hook = sys.unraisablehook
    sys.unraisablehook = functools.partial(_say_lost, hook)
    try:
        with _taken(signal.SIGINT):
            yield
    finally:
        sys.unraisablehook = hook


def was_interrupted() -> bool:
    """Whether the command was asked to end."""
    return _asked.since_s is not None


def check() -> None:
    """Raise KeyboardInterrupt if one was lost on its way; for all work that takes a while, each time it gets on."""
    if was_interrupted() and _asked.may_raise and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


class Interrupts:
    """While entered, SIGINT and SIGTERM raise KeyboardInterrupt, but only while `between` waits for an item.

    One that comes while an item is used counts when the next is asked for; one that comes after the last changes
    nothing here, for then all is done. A second one, after some patience, ends the process at once, as a kill would.
    Signals that the process was told to ignore stay ignored; outside the main thread nothing is changed.
    """

    def __init__(self) -> None:
        self._leaving = contextlib.ExitStack()

    def __enter__(self) -> Interrupts:
        self._leaving.callback(setattr, _asked, "may_raise", _asked.may_raise)
        _asked.may_raise = False
        for number in (signal.SIGINT, signal.SIGTERM):
            self._leaving.enter_context(_taken(number))
        return self

    def __exit__(self, *_error: object) -> None:
        self._leaving.close()

    def between(self, items: Generator[Item, None, None]) -> Iterator[Item]:
        """The items; closed when an interrupt ends them."""
        with contextlib.closing(items):
            while True:
                try:
                    _asked.may_raise = True
                    check()
                    item = next(items)
                except StopIteration:
                    return
                except Exception as error:
                    if was_interrupted():
                        raise KeyboardInterrupt from error
                    raise
                finally:
                    _asked.may_raise = False
                yield item


@contextlib.contextmanager
def _taken(number: signal.Signals) -> Iterator[None]:
    """Take a signal, unless the process was told to ignore it, or others than Python take it."""
    before = signal.getsignal(number)
    if before in (signal.SIG_IGN, None) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(number, _take)
    try:
        yield
    finally:
        signal.signal(number, before)


def _take(_number: int, _frame: FrameType | None) -> None:
    now_s = time.monotonic()
    if _asked.since_s is None:
        _asked.since_s = now_s
        if _asked.may_raise:
            raise KeyboardInterrupt
    elif now_s - _asked.since_s > PATIENCE_S:
        os._exit(EXIT_INTERRUPTED)


def _say_lost(say: Callable[[Any], object], lost: Any) -> None:
    """Say that an exception is lost, unless it is one that is remembered."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        say(lost)
