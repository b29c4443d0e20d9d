"""Mixed vectors like those that pictures give: between the vectors of several texts that could describe the picture."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.prediction import Vector
from unprompt.training.targets import kept

POOL = 20_000
"""Texts among which neighbours are searched, drawn once: enough to be near, few enough for a matrix product."""
ROWS = 1024
SAME = 0.995
"""A text with this cosine or more is the same text in other words."""
LARGEST_SHARE = 0.8
"""Maximum share of neighbours in a mixed vector. Those of pictures have a cosine of about 0.5 with the true text's."""


class Neighbours:
    """The nearest texts of each text, computed once and stored in `cache`."""

    def __init__(self, vectors: Vector, count: int, cache: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._pool = vectors[rng.permutation(len(vectors))[:POOL]]
        self._count = min(count, len(self._pool) - 1)
        self._cache = cache

    def of(self, vectors: Vector, name: str) -> npt.NDArray[np.int32]:
        """Indices into the pool (n, count) of the texts nearest to vectors (n, 384); `name` is for the cache file."""
        # The name includes a hash of the vectors, so that other texts do not use this file.
        key = hashlib.sha256(self._pool.tobytes() + vectors.tobytes()).hexdigest()[:16]
        return kept(
            self._cache / f"neighbours-{name}-{self._count}-{key}.npy",
            lambda: np.concatenate([self._nearest(vectors[at : at + ROWS]) for at in range(0, len(vectors), ROWS)]),
        )

    def mix(self, vectors: Vector, nearest: npt.NDArray[np.int32], rng: np.random.Generator) -> Vector:
        """Move vectors (n, 384) towards the mean of some of their nearest by a random share; returns unit vectors."""
        chosen = rng.random(nearest.shape) < rng.uniform(1 / self._count, 1, (len(nearest), 1))
        chosen[np.arange(len(nearest)), rng.integers(0, self._count, len(nearest))] = True  # at least one
        weights = chosen / chosen.sum(axis=1, keepdims=True)
        towards = np.einsum("nk,nkd->nd", weights, self._pool[nearest], optimize=True)
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        share = rng.uniform(0, LARGEST_SHARE, (len(vectors), 1))
        mixed = (1 - share) * vectors + share * towards
        return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), np.float32)

    def _nearest(self, vectors: Vector) -> npt.NDArray[np.int32]:
        similarity = vectors @ self._pool.T
        similarity[similarity > SAME] = -1
        # astype copies: a view would keep the complete ordering of every row in memory.
        return np.argpartition(similarity, -self._count, axis=1)[:, -self._count :].astype(np.int32)
