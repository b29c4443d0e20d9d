"""Votes fused into one vector and one list of concepts, and weights fitted to pictures whose prompts are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from unprompt.prediction import CONCEPTS_LIMIT, Concept, Vector, Vote

Weights: TypeAlias = npt.NDArray[np.float64]
Numbers: TypeAlias = npt.NDArray[np.float64]

_CANCELLED = 1e-6
"""A weighted sum shorter than this has no direction: the votes cancel out."""

_STEPS_LIMIT = 1000
_SMALLEST_MOVE = 1e-9
"""The search ends when no weight changes by more."""


def fuse(votes: Sequence[Vote]) -> Vector:
    """The fused unit vector (384,) float32: normalise(sum of weight * vote).

    Votes without a vector are ignored. If the votes cancel out, the result is the vote with the largest weight, the
    first of equals. Raises ValueError if no vote has a vector.
    """
    cast = [(vote.weight, vote.vector) for vote in votes if vote.vector is not None]
    if not cast:
        raise ValueError("expected a vote with a vector, found none")
    weights = np.array([weight for weight, _ in cast])
    vectors = np.array([vector for _, vector in cast], np.float64)  # (votes, 384)
    total = weights @ vectors / weights.sum()
    length = np.linalg.norm(total)
    if length < _CANCELLED:
        total = vectors[weights.argmax()]
        length = np.linalg.norm(total)
    return np.asarray(total / length, np.float32)


def fuse_concepts(votes: Sequence[Vote], limit: int | None = CONCEPTS_LIMIT) -> tuple[Concept, ...]:
    """The concepts of the votes, most probable first, equals by name; at most `limit`.

    A probability is the weighted mean over the members that name the concept: others may not know the word. Its
    category is the first that one of them states.
    """
    named: dict[str, list[tuple[float, Concept]]] = {}
    for vote in votes:
        for concept in vote.concepts:
            named.setdefault(concept.name, []).append((vote.weight, concept))
    fused = sorted(map(_mean, named.values()), key=lambda concept: (-concept.probability, concept.name))
    return tuple(fused[:limit])


def _mean(named: Sequence[tuple[float, Concept]]) -> Concept:
    """One concept by the members that name it; if that is one alone, its own object, to save memory."""
    (_, first), *others = named
    if not others:
        return first
    total = sum(weight for weight, _ in named)
    mean = sum(weight * concept.probability for weight, concept in named) / total
    category = next((concept.category for _, concept in named if concept.category), "")
    return Concept(first.name, mean, category)


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """What fitting weights needs to know of the votes of m members on n pictures with true vectors.

    `truth` (n, m) holds the cosine of each vote with the true vector, `mutual` (n, m, m) those between votes. For a
    member that gave no vector both are 0, on the diagonal too.
    """

    truth: Numbers
    mutual: Numbers

    @classmethod
    def of(cls, vectors: Numbers, true: Numbers) -> Votes:
        """Made of unit vectors (n, m, 384), zeros where one is missing, and the true unit vectors (n, 384)."""
        return cls(np.einsum("nmd,nd->nm", vectors, true), np.einsum("nmd,nkd->nmk", vectors, vectors))

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Votes:
        return Votes(self.truth[chosen], self.mutual[chosen])

    @property
    def cast(self) -> npt.NDArray[np.bool_]:
        """Whether each member gave a vector for each picture (n, m)."""
        given: npt.NDArray[np.bool_] = np.diagonal(self.mutual, axis1=1, axis2=2) > 0
        return given

    def cosines(self, weights: Weights) -> Numbers:
        """The cosine (n,) of the fused vector with the true one for weights (m,); 0 where no weighted member voted."""
        lengths = self._lengths(weights)
        cosines = self.truth @ weights / np.maximum(lengths, _CANCELLED)
        # As in `fuse`: where votes cancel out, the one with the largest weight.
        heaviest = np.where(self.cast, weights, -1).argmax(axis=1)
        alone = self.truth[np.arange(len(heaviest)), heaviest] * (weights[heaviest] > 0)
        fused: Numbers = np.where(lengths < _CANCELLED, alone, cosines)
        return fused

    def gradient(self, weights: Weights) -> Weights:
        """The gradient (m,) of the mean of `cosines`."""
        lengths = self._lengths(weights)
        kept = lengths >= _CANCELLED
        votes, lengths = self[kept], lengths[kept]
        pulls = np.einsum("nmk,k->nm", votes.mutual, weights)
        slopes = votes.truth / lengths[:, None] - (votes.truth @ weights / lengths**3)[:, None] * pulls  # (kept, m)
        total: Weights = slopes.sum(axis=0) / max(1, len(kept))
        return total

    def _lengths(self, weights: Weights) -> Numbers:
        """The lengths (n,) of the weighted sums of votes."""
        squares = np.einsum("nmk,m,k->n", self.mutual, weights, weights)
        lengths: Numbers = np.sqrt(np.maximum(squares, 0))
        return lengths


def fit_weights(votes: Votes, start: Weights) -> Weights:
    """The weights (m,) with the highest mean cosine of fused and true vectors; none is negative, they sum to 1.

    One picture's cosine is quasi-concave in the weights, but the mean may have several maxima. The search starts from
    `start`, from equal weights and from each member alone, and keeps the best result, the first of equals. It is
    deterministic. A member that never voted gets 0.
    Source: spectral projected gradient, Birgin, Martinez and Raydan (2000), with monotone ascent.
    """
    voted = votes.cast.any(axis=0)
    weights = np.where(voted, start, 0.0)
    if voted.any():
        weights[voted] = _highest(Votes(votes.truth[:, voted], votes.mutual[:, voted][:, :, voted]), start[voted])
    return weights


def _highest(votes: Votes, start: Weights) -> Weights:
    members = len(start)
    starts = [start / start.sum(), np.full(members, 1 / members), *np.eye(members)]
    peaks = [_ascend(votes, weights) for weights in starts]
    heights = np.array([votes.cosines(weights).mean() for weights in peaks])
    # Maxima that differ only by rounding count as equal.
    return peaks[int(np.argmax(heights >= heights.max() - 1e-9))]


def _ascend(votes: Votes, weights: Weights) -> Weights:
    """Follows the projected gradient until no step improves the mean cosine."""
    height, slope = votes.cosines(weights).mean(), votes.gradient(weights)
    step = 1.0
    for _ in range(_STEPS_LIMIT):
        direction = _on_simplex(weights + step * slope) - weights
        if np.abs(direction).max() < _SMALLEST_MOVE * min(1.0, step):
            break
        share = 1.0
        while (higher := votes.cosines(weights + share * direction).mean()) < height + 1e-4 * share * slope @ direction:
            share /= 2
            if share < 1e-12:
                return weights
        moved = share * direction
        weights, height, before = weights + moved, higher, slope
        slope = votes.gradient(weights)
        # The step length of Barzilai and Borwein (1988).
        bend = moved @ (before - slope)
        step = float(np.clip(moved @ moved / bend, 1e-3, 1e3)) if bend > 0 else 1e3
    return weights


def _on_simplex(point: Weights) -> Weights:
    """The projection of a point (m,) onto the weights that are not negative and sum to 1.

    Source: Duchi et al., "Efficient projections onto the l1-ball for learning in high dimensions" (2008).
    """
    descending = np.sort(point)[::-1]
    excess = (np.cumsum(descending) - 1) / np.arange(1, len(point) + 1)
    threshold = excess[np.flatnonzero(descending > excess)[-1]]
    nearest: Weights = np.maximum(point - threshold, 0)
    return nearest
