"""The vectors of term lists: computed once, cached on disk, and memory-mapped from there."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.display import printable
from unprompt.errors import DataError, ModelError
from unprompt.models.store.registry import cache_folder
from unprompt.progress import Advance, no_advance
from unprompt.towers.two_tower import TwoTower
from unprompt.vocabulary import vector_file
from unprompt.vocabulary.category import Category, digest
from unprompt.vocabulary.vector_file import SUFFIX, Half, Label

_log = logging.getLogger(__name__)

_PART = 16_384  # terms per cached part: the most that a kill may cost
_PARTS = 64  # parts of a list, at most: each is an open file until the list is complete


def default_cache() -> Path:
    """The folder where vectors of terms are cached: `unprompt/terms` in the user's cache."""
    return cache_folder("terms")


@dataclass(frozen=True, eq=False)
class TermTable:
    """The terms of a category with their vectors (terms, size) float16, of unit length up to rounding.

    `weights` (terms,) float32 are the factors for ranking; None if all are 1.
    """

    texts: tuple[str, ...]
    category: str
    vectors: Half
    weights: npt.NDArray[np.float32] | None = None

    @cached_property
    def hashes(self) -> npt.NDArray[np.int64]:
        """Hashes (terms,) of the texts, valid in this process only; equal texts have equal hashes."""
        return np.fromiter(map(hash, self.texts), np.int64, len(self.texts))


class TermTables:
    """The term tables of one model: held in memory, with vectors cached in a folder (None: not cached).

    Vectors are rounded to float16 before any use, so a table is the same whether or not it comes from the cache. If the
    folder cannot be written to, the tables do without it, unless they `must_keep` the vectors; a damaged file is
    replaced. Both are logged as warnings. Several processes may share a folder.
    """

    def __init__(self, towers: TwoTower, cache: Path | None, *, must_keep: bool = False) -> None:
        self._towers, self._cache, self._must_keep = towers, cache, must_keep
        self._writable = cache is not None
        self._tables: dict[object, TermTable] = {}

    def table(self, category: Category, advance: Advance = no_advance) -> TermTable:
        """The table of a category; `advance` is called with the number of terms done since the last call.

        Raises ModelError if the model returns vectors that are not finite, whatever `encode_texts` raises, and
        DataError if vectors must be kept and cannot be.
        """
        key = (category.identity, category.name, tuple(sorted(category.weights.items())))
        if key in self._tables:
            advance(len(category.terms))
        else:
            vectors = self._vectors(category, advance)
            self._tables[key] = TermTable(category.terms, category.name, vectors, _weights(category))
        return self._tables[key]

    def _vectors(self, category: Category, advance: Advance) -> Half:
        if self._cache is None or not category.terms:
            return self._encode(category.terms, advance)
        path, label = self._place(category, self._cache)
        kept = self._read(path, label)
        if kept is not None:
            advance(len(category.terms))
            return kept
        kept = self._keep(path, label, self._parts(path, label, category.terms, advance))
        if self._writable:
            _clear(path)
        return kept

    @cached_property
    def _identity(self) -> str:
        """The model's hash; computing it may mean reading all of its weights."""
        return digest(json.dumps([self._towers.name, *sorted(self._towers.identities().items())]))

    def _place(self, category: Category, cache: Path) -> tuple[Path, Label]:
        """The cache file of a category and its label. No file is named after a category or a model."""
        shape = (len(category.terms), self._towers.size)
        label = Label(self._towers.name, self._identity, category.identity, shape)
        return cache / self._identity / f"{category.identity}{SUFFIX}", label

    def _parts(self, whole_path: Path, whole: Label, terms: Sequence[str], advance: Advance) -> list[Half]:
        """The vectors of a list; a long one is encoded in parts, each cached as soon as it is computed.

        Parts have the same boundaries in every run, so a run resumed after a kill produces the same bits.
        """
        size = max(_PART, -(-len(terms) // _PARTS))
        if len(terms) <= size:
            return [self._encode(terms, advance)]
        parts = []
        for first in range(0, len(terms), size):
            texts = terms[first : first + size]
            shape = (len(texts), whole.shape[1])
            label = Label(whole.model, whole.model_identity, whole.list_identity, shape, first)
            path = whole_path.with_suffix(f".{first}{SUFFIX}")
            kept = self._read(path, label)
            if kept is None:
                kept = self._keep(path, label, [self._encode(texts, advance)])
            else:
                advance(len(texts))
            parts.append(kept)
        return parts

    def _encode(self, texts: Sequence[str], advance: Advance) -> Half:
        if not texts:
            return np.empty((0, self._towers.size), np.float16)
        vectors = self._towers.encode_texts(texts, advance).astype(np.float16)
        if not np.isfinite(vectors).all():
            raise ModelError(
                f"expected finite vectors of terms from {printable(self._towers.name)}, found others; "
                "its weights may be damaged"
            )
        return vectors

    def _read(self, path: Path, label: Label) -> Half | None:
        """The vectors of a file; None if it is missing, damaged or unreadable."""
        try:
            return vector_file.read(path, label)
        except DataError as error:
            _log.warning("%s; they are computed again", error)
        except OSError:  # replacing it will most likely fail too, and that is logged
            pass
        return None

    def _keep(self, path: Path, label: Label, parts: Sequence[Half]) -> Half:
        """The vectors, cached and memory-mapped if the folder can be written to."""
        if self._writable:
            try:
                vector_file.write(path, label, parts)
            except DataError as error:
                if self._must_keep:
                    raise
                self._writable = False
                _log.warning(
                    "vectors of terms cannot be cached in %s (%s) and will be computed again in each run; make that "
                    "folder writable or choose another",
                    printable(str(self._cache)),
                    getattr(error.__cause__, "strerror", None) or error,
                )
            else:
                kept = self._read(path, label)
                if kept is not None:
                    return kept
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _weights(category: Category) -> npt.NDArray[np.float32] | None:
    if not category.weights:
        return None
    weights = (category.weights.get(term, 1.0) for term in category.terms)
    return np.fromiter(weights, np.float32, len(category.terms))


def _clear(whole: Path) -> None:
    """Remove the parts of a complete list."""
    with contextlib.suppress(OSError):
        for path in whole.parent.glob(f"{whole.stem}.*"):
            if path != whole:
                path.unlink()
