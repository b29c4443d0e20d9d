"""Banks of many prompts whose vectors are given, so that nothing has to be encoded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from unprompt.bank import building
from unprompt.bank.bank import Bank
from unprompt.bank.layout import Makers
from unprompt.prediction import Vector
from unprompt.towers.embedded import EmbeddedPair


@contextmanager
def silent_step(name: str, total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


def bank_of(vectors: Vector, folder: Path) -> Bank:
    """A bank whose prompts are "prompt 0", "prompt 1" and so on, with these vectors (prompts, 384)."""
    makers = Makers.of(EmbeddedPair(1))
    building._begin(folder, makers)
    with building._Files(folder, makers) as files:
        for at in range(0, len(vectors), building._PORTION):
            part = vectors[at : at + building._PORTION]
            files.append([f"prompt {row}" for row in range(at, at + len(part))], part, None)
        files.close_whole()
    building._finish(folder, makers, len(vectors), silent_step)
    return Bank.open(folder)
