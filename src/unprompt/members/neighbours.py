"""The neighbours: the weighted mean of the prompts in a bank that are nearest to a picture, without any training.

Source: the reference that ../shared/references/competition.md lists, k = 100 and weights of 1 / distance^6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt

from unprompt.bank.bank import Bank
from unprompt.bank.index import Index
from unprompt.bank.needs import bank_need
from unprompt.checked import Bounds
from unprompt.errors import DataError
from unprompt.images.decode import Picture
from unprompt.members.member import MemberKind, MemberSpec
from unprompt.models.store.needs import Need
from unprompt.models.store.weights import HUB
from unprompt.prediction import Vector, Vote
from unprompt.progress import Step
from unprompt.towers.needs import towers_needs
from unprompt.towers.opening import open_towers
from unprompt.towers.two_tower import TwoTower

K, POWER = 100, 6.0
OFFERED = 5
"""The number of texts in a vote."""

_SAME = 1e-6  # a smaller distance is a rounding error
_CANCELLED = 1e-6  # a mean this short has no meaningful direction


@dataclass(frozen=True, slots=True)
class NeighboursOptions:
    """The folder of the `bank`, the `weights` of the model that it was built with, and how it is searched."""

    bank: str = ""
    weights: str = HUB
    k: Annotated[int, Bounds(1, 1_000_000)] = K
    power: Annotated[float, Bounds(0, 1_000_000, "least")] = POWER
    approximate: bool = False

    def __post_init__(self) -> None:
        if not self.bank:
            raise DataError("expected a bank, found none; make one with 'unprompt bank build'")


class Neighbours:
    """Votes with the weighted mean of the vectors of the `k` prompts nearest to a picture, and offers the nearest.

    A prompt's weight is 1 / distance^power, with the Euclidean distance of unit vectors, sqrt(2 - 2 cosine), the usual
    one in nearest-neighbour search; with the cosine distance, 1 - cosine, half the power gives the same weights. With
    the bank's `index` only a part of it is searched, and some of the nearest are missed. Raises DataError in `prepare`
    or at the first vote if the bank was built with another model.
    """

    def __init__(
        self,
        bank: Bank,
        towers: TwoTower,
        *,
        name: str,
        weight: float,
        k: int = K,
        power: float = POWER,
        index: Index | None = None,
    ) -> None:
        self.name = name
        self.bank, self.towers, self.index = bank, towers, index
        self._weight, self._k, self._power = weight, k, power
        self._checked = False

    @classmethod
    def of(cls, spec: MemberSpec[NeighboursOptions], threads: int = 0) -> Neighbours:
        """Make the member that a preset describes. Raises what `Bank.open`, `Index.open` and `open_towers` raise."""
        options = spec.options
        towers = open_towers(spec.model, weights=options.weights, threads=threads)
        bank = Bank.open(Path(options.bank))
        index = Index.open(bank) if options.approximate else None
        return cls(bank, towers, name=spec.name, weight=spec.weight, k=options.k, power=options.power, index=index)

    def identities(self) -> Mapping[str, str]:
        index = {} if self.index is None else self.index.identity()
        return {**self.towers.identities(), **self.bank.identity(), **index}

    @property
    def shorter_side(self) -> int | None:
        return self.towers.shorter_side

    def prepare(self, step: Step) -> None:
        """Check that the bank was built with this model."""
        self._check()

    def unload(self) -> None:
        """Free device memory; the bank is in main memory and stays there."""
        self.towers.unload()

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """Return one vector per picture, and the texts nearest to the picture."""
        self._check()
        votes = []
        searched = self.bank if self.index is None else self.index
        for rows, similarities in searched.nearest(self.towers.encode_images(pictures), self._k):
            vector = weighted_mean(self.bank.sentence_vectors(rows), similarities, self._power)
            texts = tuple(self.bank.texts(rows[:OFFERED].tolist()))
            votes.append(
                Vote(self.name, self._weight, vector=vector, texts=texts, text_similarity=float(similarities[0]))
            )
        return votes

    def _check(self) -> None:
        if not self._checked:
            self.bank.check_model(self.towers)
            self._checked = True


def needs(spec: MemberSpec[NeighboursOptions]) -> list[Need]:
    """The two-tower model and the bank."""
    options = spec.options
    bank = bank_need(Path(options.bank), spec.model, approximate=options.approximate)
    return [*towers_needs(spec.model, options.weights), bank]


KIND = MemberKind(Neighbours.of, NeighboursOptions, needs, offers_texts=True)


def weighted_mean(vectors: npt.NDArray[np.float64], similarities: npt.NDArray[np.float64], power: float) -> Vector:
    """Average vectors (k, 384) by their cosines with a picture (k,), nearest first; returns a unit vector (384,).

    The sum is numpy's own, row by row, since the order of additions in a BLAS depends on the machine.
    """
    distances = np.sqrt(np.maximum(2 - 2 * similarities, 0))
    distances = np.maximum(distances, _SAME)
    weights = (distances[0] / distances) ** power
    mean = (vectors * weights[:, None]).sum(axis=0)
    length = np.linalg.norm(mean)
    if length < _CANCELLED * weights.sum():
        mean, length = vectors[0], np.linalg.norm(vectors[0])
    return np.asarray(mean / length, np.float32)
