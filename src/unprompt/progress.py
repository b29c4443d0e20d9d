"""Progress callbacks for all work that may take more than a few seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

Advance: TypeAlias = Callable[[int], None]
"""Called with the number of items done since the last call."""

Report: TypeAlias = Callable[[str], None]
"""Called with a line of text for the user."""


Progress: TypeAlias = Callable[[str, int, "int | None"], None]
"""Called with what is being done, how many are done, and of how many, or None where that is not known."""


class Step(Protocol):
    """Shows the progress of one step of the work."""

    def __call__(self, name: str, total: int | None, what: str = "prompts") -> AbstractContextManager[Advance]:
        """Begin the step `name` with `total` items of the kind `what`; None if the number is unknown."""


def no_advance(done: int) -> None:
    """An `Advance` that does nothing."""


def no_report(line: str) -> None:
    """A `Report` that does nothing."""


@contextlib.contextmanager
def _silent(name: str, total: int | None, what: str = "prompts") -> Iterator[Advance]:
    yield no_advance


SILENT: Step = _silent
"""A step that shows nothing."""


def told_to(progress: Progress) -> Step:
    """A step that tells a callback how far it is, at its begin and after each advance."""

    @contextlib.contextmanager
    def step(name: str, total: int | None, what: str = "prompts") -> Iterator[Advance]:
        so_far = 0

        def advance(done: int) -> None:
            nonlocal so_far
            so_far += done
            progress(name, so_far, total)

        advance(0)
        yield advance

    return step
