"""A codebook: a few vectors that stand for all that people ask for, and towards which a picture's vector is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unprompt.errors import DataError
from unprompt.prediction import Vector
from unprompt.training.listening import Advance, ignore

ROUNDS = 10
"""Of k-means: with 6 of them, on fewer prompts, codebooks scored the same."""

SAME_PROMPT = 0.7
"""Prompts this near (cosine) are similar, as in the groups of prompts that the data sets were split by."""

SHARPEST = 1000
"""From there on the nearest one counts alone."""

_TOGETHER = 4096  # vectors in one product: their cosines with a few thousand others stay under 100 MB


@dataclass(frozen=True, eq=False)
class Codebook:
    """Unit vectors (n, 384), how sharply the nearest of them outweigh the others, and their share of the answer.

    Raises DataError for a sharpness that is not above 0 and at most 1,000, and a share that is not from 0 to 1.
    """

    vectors: Vector
    sharpness: float
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.sharpness <= SHARPEST or not 0 <= self.share <= 1:
            raise DataError(
                f"expected a sharpness above 0 and at most {SHARPEST:,} and a share from 0 to 1, found "
                f"{self.sharpness:g} and {self.share:g}"
            )

    def draw(self, vectors: Vector) -> Vector:
        """Unit vectors (m, 384), each moved towards the mean of the codebook, in which the nearest weigh most.

        A vector of the codebook weighs exp(sharpness * cosine). Source: the update of a modern Hopfield network,
        Ramsauer et al., "Hopfield networks is all you need" (2020), which is attention to patterns that are stored.
        """
        cosines = vectors @ self.vectors.T
        weights = np.exp(self.sharpness * (cosines - cosines.max(axis=1, keepdims=True)))
        mean = _normalised(weights @ self.vectors)
        return _normalised((1 - self.share) * vectors + self.share * mean)


def condense(vectors: Vector, size: int, *, seed: int = 0, advance: Advance = ignore) -> Vector:
    """The `size` unit vectors that many (n, 384) gather around: spherical k-means, starting from some of them.

    Equal vectors and seeds give equal ones, with one BLAS. Raises DataError where there are fewer vectors than `size`.
    Source: Dhillon and Modha, "Concept decompositions for large sparse text data using clustering" (2001).
    """
    if not 0 < size <= len(vectors):
        raise DataError(
            f"expected a codebook that is smaller than what it stands for, found {size:,} vectors for {len(vectors):,}"
        )
    drawn = np.random.default_rng(seed).permutation(len(vectors))[:size]
    centres = vectors[np.sort(drawn)]
    for turn in range(ROUNDS):
        owners = _nearest(vectors, centres)
        order = np.argsort(owners, kind="stable")
        owned, starts = np.unique(owners[order], return_index=True)
        # One that owns nothing stays where it is.
        centres[owned] = _normalised(np.add.reduceat(vectors[order], starts, axis=0))
        advance("k-means", turn + 1, ROUNDS)
    return centres


def apart(vectors: Vector, others: Vector) -> Vector:
    """Those of the vectors (n, 384) that are similar to none of the others (m, 384)."""
    kept = [part[(part @ others.T).max(axis=1) < SAME_PROMPT] for part in _parts(vectors)]
    return np.concatenate(kept)


def _nearest(vectors: Vector, centres: Vector) -> npt.NDArray[np.intp]:
    return np.concatenate([(part @ centres.T).argmax(axis=1) for part in _parts(vectors)])


def _parts(vectors: Vector) -> list[Vector]:
    return [vectors[at : at + _TOGETHER] for at in range(0, len(vectors), _TOGETHER)]


def _normalised(vectors: Vector) -> Vector:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
