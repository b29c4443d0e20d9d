"""Banks of many prompts whose vectors are given, so that nothing has to be encoded."""

from pathlib import Path

from unprompt.bank import building
from unprompt.bank.bank import Bank
from unprompt.bank.layout import Config, Makers
from unprompt.prediction import Vector
from unprompt.progress import SILENT
from unprompt.towers.embedded import EmbeddedPair


def bank_of(vectors: Vector, folder: Path) -> Bank:
    """A bank whose prompts are "prompt 0", "prompt 1" and so on, with these vectors (prompts, 384)."""
    makers = Makers.of(EmbeddedPair(1))
    building._begin(folder, makers)
    with building._Files(folder, makers) as files:
        for at in range(0, len(vectors), building._PORTION):
            part = vectors[at : at + building._PORTION]
            prompts = [f"prompt {row}" for row in range(at, at + len(part))]
            files.append(prompts, building.Encoded(building._stored(part, makers), None))
        files.close_whole()
    building._finish(folder, Config(len(vectors), makers, {}), {}, SILENT)
    return Bank.open(folder)
