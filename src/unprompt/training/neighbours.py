"""Vectors like those that pictures give: between the vectors of several texts, since a picture could be any of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.prediction import Vector
from unprompt.training.targets import kept

POOL = 20_000
"""Texts among which neighbours are looked for, drawn once: enough to be near, few enough for a matrix product."""
ROWS = 1024
SAME = 0.995
"""A text this near (cosine) is the text itself, in other words."""
LARGEST_SHARE = 0.8
"""Of the neighbours in a mixed vector. What pictures give has a cosine of about 0.5 to the true text's vector."""


class Neighbours:
    """The nearest texts of each text, found once and kept in `cache`."""

    def __init__(self, vectors: Vector, count: int, cache: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._pool = vectors[rng.permutation(len(vectors))[:POOL]]
        self._count = min(count, len(self._pool) - 1)
        self._cache = cache

    def of(self, vectors: Vector, name: str) -> npt.NDArray[np.int32]:
        """Places in the pool (n, count) of the nearest texts of each vector (n, 384); `name` is that of the cache."""
        # Other texts of the same number must not find these, so the name holds what was compared.
        key = hashlib.sha256(self._pool.tobytes() + vectors.tobytes()).hexdigest()[:16]
        return kept(
            self._cache / f"neighbours-{name}-{self._count}-{key}.npy",
            lambda: np.concatenate([self._nearest(vectors[at : at + ROWS]) for at in range(0, len(vectors), ROWS)]),
        )

    def mix(self, vectors: Vector, nearest: npt.NDArray[np.int32], rng: np.random.Generator) -> Vector:
        """Vectors (n, 384), each moved towards the mean of some of its nearest by a random share; unit length."""
        chosen = rng.random(nearest.shape) < rng.uniform(1 / self._count, 1, (len(nearest), 1))
        chosen[np.arange(len(nearest)), rng.integers(0, self._count, len(nearest))] = True  # one at least
        weights = chosen / chosen.sum(axis=1, keepdims=True)
        towards = np.einsum("nk,nkd->nd", weights, self._pool[nearest], optimize=True)
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        share = rng.uniform(0, LARGEST_SHARE, (len(vectors), 1))
        mixed = (1 - share) * vectors + share * towards
        return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), np.float32)

    def _nearest(self, vectors: Vector) -> npt.NDArray[np.int32]:
        similarity = vectors @ self._pool.T
        similarity[similarity > SAME] = -1
        # A copy: a view would keep the whole ordering of every row.
        return np.argpartition(similarity, -self._count, axis=1)[:, -self._count :].astype(np.int32)
