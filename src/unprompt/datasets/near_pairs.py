"""Near pairs: finds every pair of vectors with a high cosine, exactly, without computing most of the cosines.

Vectors are rotated by an orthogonal matrix whose first columns carry most of their length (the principal components)
and split into the first k numbers x and the rest x'. By the Cauchy-Schwarz inequality,

    cosine(x, y) = x.y + x'.y' <= x.y + |x'||y'|,

which is the product of two vectors of k + 1 numbers, their sketches. If that bound stays below the threshold, so does
the cosine; the few other pairs are computed in full. Any orthogonal matrix gives the same pairs; a good one is faster.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unprompt.errors import DataError
from unprompt.threads import in_order

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Wanted = Callable[[Indices, Indices], npt.NDArray[np.bool_]]
"""Tells which of the pairs (first, second) are worth computing in full."""

BLOCK, TILE = 1024, 4096
"""Vectors per block and per tile. Each thread holds 20 MB for the product of a block and a tile."""

_SLACK = 1e-4  # far above the rounding error of a float32 bound, and small enough to let few more pairs through
_WIDTHS = (64, 96, 128, 192, 256)
_SAMPLE = 8192
_EXACT_AT_A_TIME = 4096  # pairs whose vectors are read from disk at a time
_PRODUCT_S, _EXACT_S = 2.5e-11, 1.5e-6  # for a product of two numbers, and for a pair in full, measured on one core
_DAMAGED = 0.01  # rounding to float16 never moves a unit vector's length this far from 1


class Pairs(NamedTuple):
    """Pairs of vectors, the first before the second, and their cosines; three arrays of one length."""

    first: Indices
    second: Indices
    cosines: npt.NDArray[np.float64]


class NearPairs:
    """Finds the pairs of vectors whose cosine reaches a threshold, block by block.

    Of `vectors` (any, 384) float16, which may be memory-mapped, the n in `rows` are compared: vector i is row
    `rows[i]`. Cosines are those of the float16 numbers, computed in float64, so they depend neither on the other
    vectors nor on threads. For each block, ask for its pairs with `earlier` vectors and `within` it, then `remember`
    all or part of it for the blocks that follow. Memory: 4 (k + 1) bytes per vector, with k from 64 to 256. `threads`
    compare tiles in parallel; numpy should then be limited to one thread.

    Raises DataError if a vector is not of unit length.
    """

    def __init__(self, vectors: npt.NDArray[np.float16], rows: Indices, threshold: float, threads: int = 1) -> None:
        self.threshold = threshold
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "comparing")
        self._buffers = threading.local()
        self._vectors, self._rows = vectors, rows
        sample = self._read(np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE), dtype=np.int64))
        turn = _principal_components(sample)
        self.width = _cheapest_width(sample @ turn, threshold)
        self._sketches = np.empty((len(rows), self.width + 1), np.float32)
        for at in range(0, len(rows), TILE):
            part = np.arange(at, min(at + TILE, len(rows)))
            self._sketches[part] = _sketches(self._read(part) @ turn, self.width)
        # Sketches to remember are moved to the front, over those that are no longer needed.
        self._remembered = np.empty(len(rows), np.int64)
        self._count = 0

    def __len__(self) -> int:
        return len(self._rows)

    def blocks(self) -> Iterator[slice]:
        """The blocks that make up all vectors, in order."""
        for at in range(0, len(self), BLOCK):
            yield slice(at, min(at + BLOCK, len(self)))

    @staticmethod
    def pairs_up_to(count: int) -> int:
        """The number of pairs among `count` vectors: what a search for them has to decide."""
        return count * (count - 1) // 2

    def earlier(self, block: slice, wanted: Wanted | None = None) -> Iterator[Pairs]:
        """The pairs of a remembered vector and one of the block, ordered by the remembered vector's tile."""
        tiles = (slice(at, min(at + TILE, self._count)) for at in range(0, self._count, TILE))

        def candidates(tile: slice) -> tuple[Indices, Indices]:
            firsts, seconds = self._candidates(self._sketches[tile], self._sketches[block])
            return self._remembered[tile][firsts], seconds + block.start

        for firsts, seconds in in_order(self._pool, candidates, tiles, self._threads):
            yield from self._exact(firsts, seconds, wanted)

    def within(self, block: slice, wanted: Wanted | None = None) -> Iterator[Pairs]:
        """The pairs of two vectors of the block."""
        firsts, seconds = self._candidates(self._sketches[block], self._sketches[block])
        below = firsts < seconds
        yield from self._exact(firsts[below] + block.start, seconds[below] + block.start, wanted)

    def remember(self, block: slice, chosen: npt.NDArray[np.bool_] | None = None) -> None:
        """Compare the blocks that follow with this block, or with its `chosen` vectors."""
        indices = np.arange(block.start, block.stop)
        if chosen is not None:
            indices = indices[chosen]
        end = self._count + len(indices)
        self._remembered[self._count : end] = indices
        self._sketches[self._count : end] = self._sketches[indices]
        self._count = end

    def _candidates(self, first: Floats, second: Floats) -> tuple[Indices, Indices]:
        """The pairs that may reach the threshold, as indices into the two arrays."""
        # Allocating these megabytes for each tile would cost a sixth of the time.
        if not hasattr(self._buffers, "bounds"):
            self._buffers.bounds = np.empty(BLOCK * TILE, np.float32)
            self._buffers.reached = np.empty(BLOCK * TILE, np.bool_)
        size = len(first) * len(second)
        bounds, reached = self._buffers.bounds[:size], self._buffers.reached[:size]
        np.matmul(second, first.T, out=bounds.reshape(len(second), len(first)))
        np.greater_equal(bounds, np.float32(self.threshold - _SLACK), out=reached)
        seconds, firsts = np.divmod(np.flatnonzero(reached), len(first))
        return firsts, seconds

    def _exact(self, first: Indices, second: Indices, wanted: Wanted | None) -> Iterator[Pairs]:
        for at in range(0, len(first), _EXACT_AT_A_TIME):
            some = slice(at, at + _EXACT_AT_A_TIME)
            firsts, seconds = first[some], second[some]
            if wanted is not None:
                worth = wanted(firsts, seconds)
                firsts, seconds = firsts[worth], seconds[worth]
            cosines = exact_cosines(self._vectors[self._rows[firsts]], self._vectors[self._rows[seconds]])
            reached = cosines >= self.threshold
            if reached.any():
                yield Pairs(firsts[reached], seconds[reached], cosines[reached])

    def _read(self, indices: Indices) -> Floats:
        """Unit vectors (len(indices), 384)."""
        vectors = self._vectors[self._rows[indices]].astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.abs(lengths - 1) < _DAMAGED).all():  # true for NaN as well
            raise DataError("expected vectors of unit length, found others: the file is damaged; delete the cache")
        return np.asarray(vectors / lengths, np.float32)


def exact_cosines(first: npt.NDArray[np.float16], second: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    """The cosines (n,) between the rows of two arrays (n, 384); that of equal vectors is 1 to the last bit."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    products = np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b)
    return np.asarray(np.einsum("ij,ij->i", a, b) / np.sqrt(products), np.float64)


def _principal_components(sample: Floats) -> Floats:
    """An orthogonal matrix (384, 384); the direction that carries most of the vectors' length comes first."""
    wide = sample.astype(np.float64)
    _shares, directions = np.linalg.eigh(wide.T @ wide)
    return np.ascontiguousarray(directions[:, ::-1], np.float32)


def _sketches(turned: Floats, width: int) -> Floats:
    """Sketches (n, width + 1): the first `width` numbers of each vector and the length of the rest."""
    left = np.linalg.norm(turned[:, width:], axis=1, keepdims=True)
    return np.concatenate([turned[:, :width], left], axis=1)


def _cheapest_width(turned: Floats, threshold: float) -> int:
    """The width at which bounds and exact cosines take the least time together, estimated on a sample."""

    def seconds_a_pair(width: int) -> float:
        sketches = _sketches(turned, width)
        bounds = sketches[::2][:BLOCK] @ sketches[1::2].T  # no vector with itself
        return width * _PRODUCT_S + _EXACT_S * float(np.mean(bounds >= threshold - _SLACK)) if bounds.size else width

    return min(_WIDTHS, key=seconds_a_pair)
