"""A listener for long work that notes what it is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from unprompt.progress import Advance


class RecordedSteps:
    """A `Step`: of each step its name, its total, and what was done from call to call."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int | None, list[int]]] = []

    @contextlib.contextmanager
    def __call__(self, name: str, total: int | None, what: str = "prompts") -> Iterator[Advance]:
        done: list[int] = []
        self.steps.append((name, total, done))
        yield done.append
