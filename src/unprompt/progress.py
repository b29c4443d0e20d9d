"""How far long work is: one kind of callback for everything that may take more than a few seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

Advance: TypeAlias = Callable[[int], None]
"""Called with the number of things that are done since the last call."""

Report: TypeAlias = Callable[[str], None]
"""Called with a line that people should read."""


class Step(Protocol):
    """Shows one step of the work after the other, to whoever waits for it."""

    def __call__(self, name: str, total: int | None, what: str = "prompts") -> AbstractContextManager[Advance]:
        """Begins the step `name`, which has `total` things of the kind `what`; None: nobody knows how many."""


def no_advance(done: int) -> None:
    """Shows nothing."""


def no_report(line: str) -> None:
    """Tells nobody."""


@contextlib.contextmanager
def _silent(name: str, total: int | None, what: str = "prompts") -> Iterator[Advance]:
    yield no_advance


SILENT: Step = _silent
"""Shows nothing."""
