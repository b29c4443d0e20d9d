"""Exact nearest-neighbour search over tables of vectors, for the terms of vocabularies and the prompts of banks.

A blocked matrix product estimates all scores in float32, and rows whose error bound rules them out are dropped. The
survivors, little more than were requested, are scored again in float64 with a fixed order of summation, so the result
does not depend on the other pictures in the call, the BLAS, its threads or the block size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from unprompt.prediction import Vector
from unprompt.vocabulary.tables import TermTable
from unprompt.vocabulary.vector_file import Half

Rows = npt.NDArray[np.int64]
Exact = npt.NDArray[np.float64]
Number = TypeVar("Number", np.float32, np.float64)

_TOGETHER = 64  # pictures per product: more gain little and take more memory
_BLOCK = 2048  # terms per product: as float32 they fit into a core's cache
_WIDENED = 256  # terms widened at a time: they fit into a nearer cache
_SPARE = 1024  # candidates kept per picture beyond `count`, before they are scored exactly and cut
_EXACT = 128  # candidates scored exactly at a time: they fit into a core's cache

_ROUNDING = 2.0**-24  # relative rounding error of float32
_LONGEST = 1.01  # no unit vector rounded to float16 is longer than this
_NEVER = -np.inf
_LOWEST = np.finfo(np.float32).min


class Ranked(NamedTuple):
    """A term, given as table number and row in that table; `similarity` is its cosine with the picture."""

    table: int
    term: int
    similarity: float


class Halves(Protocol):
    """Vectors (rows, size) of unit length up to rounding, read as float16: an array, or rows that become one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Rows, /) -> Half: ...


class _Table(Protocol):
    """The vectors (rows, size) of a table; `weights` (rows,) are for `by_weight`."""

    @property
    def vectors(self) -> Halves: ...

    @property
    def weights(self) -> Vector | None: ...


class _Unweighted(NamedTuple):
    vectors: Halves
    weights: Vector | None = None


def nearest(vectors: Halves, images: Vector, k: int) -> list[tuple[Rows, Exact]]:
    """For each picture, the rows of its `k` nearest vectors, nearest first, and their cosines with it.

    `vectors` (n, size) may be memory-mapped; both they and `images` (m, size) hold unit vectors. Ties are ordered by
    row. If there are fewer than `k` vectors, all are returned. Memory use is that of `rank`.
    """
    pool = _Pool([_Unweighted(vectors)], np.empty(0, np.int64))
    return _in_parts(pool, images, min(k, len(vectors)), weighted=False)


def rank(tables: Sequence[TermTable], images: Vector, k: int, *, lowest: bool = False) -> list[list[Ranked]]:
    """For each picture, the `k` best terms of all tables together, best first; all of them if there are fewer.

    `images` (m, size) are unit vectors, as are those of the tables. Terms are ranked by cosine and weight (see
    `by_weight`) or, with `lowest`, by ascending cosine alone; ties are ordered by table and row. A text that occurs in
    several tables counts once, in the first of them; within a table each text must occur once.

    Memory, beside the result and the tables, which may be memory-mapped: 2,048 * (4 * size + 384) bytes for blocks,
    about 100 * min(m, 64) * (k + 1,024) for candidates and, with several tables, 24 per term to find repeated texts.
    """
    pool = _Pool(tables, _repeats(tables))
    count = min(k, pool.starts[-1] - len(pool.repeats))
    found = _in_parts(pool, -images if lowest else images, count, weighted=not lowest)
    sign = -1.0 if lowest else 1.0
    return [list(map(Ranked, *pool.places(rows), (sign * cosines).tolist())) for rows, cosines in found]


def _in_parts(pool: _Pool, images: Vector, count: int, *, weighted: bool) -> list[tuple[Rows, Exact]]:
    """Run `_best` on any number of pictures, a limited number at a time."""
    if count <= 0:
        return [(np.empty(0, np.int64), np.empty(0)) for _ in images]
    found = []
    for first in range(0, len(images), _TOGETHER):
        asked = np.ascontiguousarray(images[first : first + _TOGETHER], np.float32)
        found += _best(pool, asked, count, weighted=weighted)
    return found


class _Pool:
    """The rows of several tables, numbered through: those of table t run from `starts[t]` to `starts[t + 1]`.

    `repeats`, in ascending order, are the rows to leave out.
    """

    def __init__(self, tables: Sequence[_Table], repeats: Rows) -> None:
        self.tables = tables
        self.starts: list[int] = _starts(tables)
        self.repeats = repeats
        self.heaviest = max(
            (
                float(np.maximum(table.weights, 1 / table.weights).max(initial=0))
                for table in tables
                if table.weights is not None
            ),
            default=0.0,
        )

    def places(self, rows: Rows) -> tuple[list[int], list[int]]:
        """For each row, the number of its table and its row there."""
        numbers, places = _places(self.starts, rows)
        return numbers.tolist(), places.tolist()

    def cosines(self, rows: Rows, image: Vector) -> Exact:
        """Cosines (rows,) with one picture. The products are exact, and numpy sums each row in one fixed order."""
        cosines = np.empty(len(rows))
        exact_image = image.astype(np.float64)
        for number, chosen in self._by_table(rows):
            for at in range(0, len(chosen), _EXACT):
                part = chosen[at : at + _EXACT]
                vectors = self.tables[number].vectors[rows[part] - self.starts[number]]
                wide = np.empty(vectors.shape, np.float32)
                _widen(vectors, wide)
                products = wide.astype(np.float64)
                products *= exact_image
                cosines[part] = products.sum(axis=1)
        return cosines

    def weights(self, rows: Rows) -> Exact:
        """The factor (rows,) by which each row's cosine is multiplied."""
        weights = np.ones(len(rows))
        for number, chosen in self._by_table(rows):
            own = self.tables[number].weights
            if own is not None:
                weights[chosen] = own[rows[chosen] - self.starts[number]]
        return weights

    def _by_table(self, rows: Rows) -> list[tuple[int, npt.NDArray[np.intp]]]:
        numbers = np.searchsorted(self.starts, rows, "right") - 1
        return [(number, np.flatnonzero(numbers == number)) for number in np.unique(numbers).tolist()]


def _starts(tables: Sequence[_Table]) -> list[int]:
    starts: list[int] = np.cumsum([0, *(len(table.vectors) for table in tables)]).tolist()
    return starts


def _places(starts: Sequence[int], rows: Rows) -> tuple[Rows, Rows]:
    """For each row, the number of its table and its row there."""
    numbers = np.searchsorted(starts, rows, "right") - 1
    return numbers, rows - np.asarray(starts)[numbers]


def _repeats(tables: Sequence[TermTable]) -> Rows:
    """The rows, ascending, whose text occurs in an earlier table."""
    if len(tables) < 2:
        return np.empty(0, np.int64)
    hashes = np.concatenate([table.hashes for table in tables])
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    suspects = np.flatnonzero(np.isin(hashes, twice)) if len(twice) else np.empty(0, np.int64)
    seen: set[str] = set()
    repeats = []
    for row, number, place in zip(suspects, *_places(_starts(tables), suspects), strict=True):
        text = tables[number].texts[place]
        if text in seen:
            repeats.append(row)
        seen.add(text)
    return np.array(repeats, np.int64)


class _Candidates:
    """The rows that can still be among the `count` best of each picture, with their estimated scores.

    An estimate is off by at most `error` (pictures,). So at least `count` rows score no less than the `count`-th
    highest estimate minus the error, and a row whose estimate lies more than twice the error below that one cannot be
    among them.
    """

    def __init__(self, pool: _Pool, images: Vector, count: int, weighted: bool) -> None:
        self._pool, self._images, self._count, self._weighted = pool, images, count, weighted
        heaviest = max(1.0, pool.heaviest) if weighted else 1.0
        terms = images.shape[1] + 16  # the sum of the products, the weight and the arithmetic of the bound itself
        self._error = terms * _ROUNDING * _LONGEST * heaviest * np.linalg.norm(images.astype(np.float64), axis=1)
        self._kept: list[tuple[Rows, Vector]] = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in images]
        self._new: list[tuple[npt.NDArray[np.intp], Rows, Vector]] = []
        self._most_new = len(images) * (count + _SPARE)
        self.least = np.full((len(images), 1), _LOWEST, np.float32)
        """The lowest score (pictures, 1) that is still kept."""

    def add(self, scores: Vector, first: int) -> None:
        """Keep those of the scores (pictures, rows) that are high enough; their first column is row `first`."""
        passed = np.flatnonzero(scores >= self.least)
        if not len(passed):
            return
        pictures, rows = np.divmod(passed, scores.shape[1])
        self._new.append((pictures, rows + first, scores.ravel()[passed]))
        if sum(len(rows) for _, rows, _ in self._new) > self._most_new:
            self._cut()

    def best(self) -> list[tuple[Rows, Exact]]:
        """For each picture, the rows of its best terms, best first, and their cosines."""
        self._cut()
        found = []
        for image, (rows, _) in zip(self._images, self._kept, strict=True):
            order, cosines = self._exactly(image, rows)
            found.append((rows[order], cosines[order]))
        return found

    def _cut(self) -> None:
        if not self._new:
            return
        pictures, rows, scores = (np.concatenate(parts) for parts in zip(*self._new, strict=True))
        self._new.clear()
        pictures = pictures.astype(np.int16)  # numpy uses radix sort for these
        order = np.argsort(pictures, kind="stable")
        ends = np.searchsorted(pictures[order], np.arange(1, len(self._images)))
        for picture, chosen in enumerate(np.split(order, ends)):
            old_rows, old_scores = self._kept[picture]
            both = np.concatenate([old_rows, rows[chosen]]), np.concatenate([old_scores, scores[chosen]])
            self._kept[picture] = self._cut_one(picture, *both)

    def _cut_one(self, picture: int, rows: Rows, scores: Vector) -> tuple[Rows, Vector]:
        if len(rows) <= self._count:
            return rows, scores
        last = np.partition(scores, -self._count)[-self._count]
        self.least[picture] = last - 2 * self._error[picture]
        near = scores >= self.least[picture]
        rows, scores = rows[near], scores[near]
        if len(rows) > self._count + _SPARE:  # many near ties: bounds the memory whatever the terms are
            order, _ = self._exactly(self._images[picture], rows)
            rows, scores = rows[order], scores[order]
        return rows, scores

    def _exactly(self, image: Vector, rows: Rows) -> tuple[npt.NDArray[np.intp], Exact]:
        """The indices of the best among `rows`, best first, and the exact cosines of all of them."""
        cosines = self._pool.cosines(rows, image)
        scores = by_weight(cosines, self._pool.weights(rows)) if self._weighted else cosines
        return np.lexsort((rows, -scores))[: self._count], cosines


def _best(pool: _Pool, images: Vector, count: int, *, weighted: bool) -> list[tuple[Rows, Exact]]:
    candidates = _Candidates(pool, images, count, weighted)
    wide = np.empty((_BLOCK, images.shape[1]), np.float32)
    products = np.empty((len(images), _BLOCK), np.float32)
    for table, start in zip(pool.tables, pool.starts, strict=False):
        for at in range(0, len(table.vectors), _BLOCK):
            block = table.vectors[at : at + _BLOCK]
            size = len(block)
            _widen(block, wide[:size])
            scores = np.matmul(images, wide[:size].T, out=products[:, :size] if size == _BLOCK else None)
            if weighted and table.weights is not None:
                scores = by_weight(scores, table.weights[at : at + size])
            first, last = np.searchsorted(pool.repeats, (start + at, start + at + size))
            scores[:, pool.repeats[first:last] - start - at] = _NEVER
            candidates.add(scores, start + at)
    return candidates.best()


def by_weight(scores: npt.NDArray[Number], weights: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Multiply positive scores by their weights and divide negative ones, so that a weight above 1 always helps."""
    return np.where(scores > 0, scores * weights, scores / weights)


def _widen(half: Half, wide: Vector) -> None:
    """Convert finite float16 numbers to float32, exactly and three times as fast as numpy, which converts one by one.

    The bits of exponent and fraction are shifted to their places in a float32; a multiplication then corrects the
    exponent, whose bias differs between the two formats.
    """
    if _flushes_subnormals():
        np.copyto(wide, half)
        return
    bits = wide.view(np.int32)
    for at in range(0, len(half), _WIDENED):
        part = slice(at, at + _WIDENED)
        np.copyto(bits[part], half[part].view(np.int16))  # the sign fills the upper half
        np.left_shift(bits[part], 13, out=bits[part])
        np.bitwise_and(bits[part], ~0x70000000, out=bits[part])
        np.multiply(wide[part], np.float32(2.0**112), out=wide[part])


def _flushes_subnormals() -> bool:
    """Whether this thread treats subnormal numbers as 0, as some libraries set it; `_widen` needs them."""
    smallest = np.ones(1, np.int32).view(np.float32)
    return not np.any(smallest * np.float32(2.0**112))
