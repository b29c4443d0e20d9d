"""Building a codebook: the vectors of many prompts, condensed to a few cluster centres."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.answer.codebook import ARCHITECTURE, Codebook
from unprompt.datasets.prompts import PromptSource
from unprompt.datasets.vectors import VectorStore
from unprompt.errors import DataError, ModelError
from unprompt.models.store.folder import CARD, CONFIG, ModelFolder, check_replaceable, replacing, write_config
from unprompt.models.store.stored_vectors import VECTORS_LIMIT
from unprompt.prediction import EMBEDDING_SIZE, Vector
from unprompt.progress import Advance, Step, no_advance
from unprompt.text.fingerprints import fingerprint
from unprompt.training.texts import read_texts

ROUNDS = 10
"""Rounds of k-means; with 6 rounds, on fewer prompts, codebooks scored the same."""

SAME_PROMPT = 0.7
"""Prompts with this cosine or more are similar, as in the groups by which the data sets were split."""

_TOGETHER = 4096  # vectors on each side of a product; the cosines take 67 MB


def build_codebook(
    texts: Sequence[Path],
    folder: Path,
    store: VectorStore,
    *,
    size: int,
    apart_from: str | None = None,
    licence: str,
    step: Step,
) -> ModelFolder:
    """Write a model folder with `size` vectors that represent the texts in files, as `read_texts` reads them.

    Texts similar to a prompt of the data set or list `apart_from` are left out. All vectors are cached in `store`, so
    an interrupted run can be continued. The card of an existing codebook in `folder` is kept. Memory: 3.1 kB per text,
    at first 1.5 kB per prompt of `apart_from`, and another 100 MB.

    Raises DataError if there are too few texts or a file cannot be read, ModelError if `folder` holds anything but a
    codebook, OutputBusyError if another process is writing it.
    """
    _check_place(folder)
    with replacing(folder) as new:  # before the work, which would be in vain if another process were writing there
        others = [] if apart_from is None else _prompts(apart_from, step)
        read = read_texts(texts)
        _check_size(size, len(read))
        vectors = _encoded(read, store, step)
        if others:
            vectors = apart(vectors, _encoded(others, store, step))
            _check_left(size, len(vectors), len(read), str(apart_from))
        with step("condensing", ROUNDS, "rounds") as advance:
            codebook = Codebook(condense(vectors, size, advance=advance))
        config = {
            "name": folder.resolve().name,
            "architecture": ARCHITECTURE,
            "licence": licence,
            "origin": f"built by unprompt codebook build from {', '.join(path.name for path in texts)}",
            "size": size,
            "prompts": len(vectors),
        }
        card = folder / CARD
        if card.is_file():
            (new / CARD).write_bytes(card.read_bytes())
        write_config(new, config, codebook.write(new))
    return ModelFolder.open(folder)


def condense(vectors: Vector, size: int, *, seed: int = 0, advance: Advance = no_advance) -> Vector:
    """Find `size` unit vectors that represent many (n, 384): spherical k-means, started from some of them.

    Equal vectors and seeds give equal results, given the same BLAS. `advance` is called after each of the `ROUNDS`.
    Raises DataError if there are fewer vectors than `size`. Source: Dhillon and Modha, "Concept decompositions for
    large sparse text data using clustering" (2001).
    """
    _check_size(size, len(vectors))
    drawn = np.random.default_rng(seed).permutation(len(vectors))[:size]
    centres = vectors[np.sort(drawn)]
    for _ in range(ROUNDS):
        owners = _nearest(vectors, centres)
        order = np.argsort(owners, kind="stable")
        owned, starts = np.unique(owners[order], return_index=True)
        # A centre without members stays where it is.
        centres[owned] = _normalised(np.add.reduceat(vectors[order], starts, axis=0))
        advance(1)
    return centres


def apart(vectors: Vector, others: Vector) -> Vector:
    """Those of the vectors (n, 384) that are not similar to any of the others (m, 384)."""
    is_similar = np.zeros(len(vectors), bool)
    for rows in _blocks(len(vectors)):
        for part in _blocks(len(others)):
            is_similar[rows] |= (vectors[rows] @ others[part].T).max(axis=1) >= SAME_PROMPT
    return vectors[~is_similar]


def _check_place(folder: Path) -> None:
    check_replaceable(folder)
    if (folder / CONFIG).is_file() and (found := ModelFolder.open(folder).config["architecture"]) != ARCHITECTURE:
        raise ModelError(
            f"expected an empty folder or a codebook at {folder}, found a model of the architecture {found!r}; "
            "choose another folder"
        )


def _check_size(size: int, count: int) -> None:
    if not 0 < size <= min(count, VECTORS_LIMIT):
        raise DataError(
            f"expected a codebook of at most {VECTORS_LIMIT:,} vectors and no more than there are texts, found "
            f"{size:,} vectors for {count:,} texts; give more texts, or another size"
        )


def _check_left(size: int, left: int, count: int, others: str) -> None:
    """Raise DataError if too few texts are left without those that are similar to others."""
    if size > left:
        raise DataError(
            f"expected at least as many texts as vectors, {size:,}: of {count:,} texts {count - left:,} are similar to "
            f"a prompt of {others}, and {left:,} are left; give texts that are not similar to these"
            f"{', or a smaller size' if left else ''}"
        )


def _prompts(source: str, step: Step) -> list[str]:
    """The distinct prompts of a data set or list."""
    with step("reading", None) as advance:
        prompts: dict[str, None] = {}
        for entry in PromptSource(source, pictures=False).entries():
            prompts[entry.prompt] = None
            advance(1)
    return list(prompts)


def _encoded(texts: Sequence[str], store: VectorStore, step: Step) -> Vector:
    """The unit vectors (n, 384) of distinct texts, in order."""
    keys = np.fromiter(map(fingerprint, texts), np.uint64, len(texts))
    if missing := int(np.count_nonzero(store.rows(keys) < 0)):
        with step("encoding", missing) as advance:
            store.keep(texts, advance)
    rows, kept = store.rows(keys), store.vectors
    vectors = np.empty((len(texts), EMBEDDING_SIZE), np.float32)
    for part in _blocks(len(texts)):
        vectors[part] = _normalised(kept[rows[part]].astype(np.float32))
    return vectors


def _nearest(vectors: Vector, centres: Vector) -> npt.NDArray[np.intp]:
    """The index (n,) of the centre nearest to each vector (n, 384); of equally near ones the first."""
    nearest = np.zeros(len(vectors), np.intp)
    for rows in _blocks(len(vectors)):
        highest = np.full(len(nearest[rows]), -np.inf, np.float32)
        for part in _blocks(len(centres)):
            places, found = _highest(vectors[rows], centres[part])
            nearest[rows] = np.where(found > highest, part.start + places, nearest[rows])
            highest = np.maximum(found, highest)
    return nearest


def _highest(vectors: Vector, centres: Vector) -> tuple[npt.NDArray[np.intp], Vector]:
    """The index and the value of each vector's highest cosine; a function of its own, so that the product is freed."""
    cosines = vectors @ centres.T
    places = cosines.argmax(axis=1)
    return places, cosines[np.arange(len(cosines)), places]


def _blocks(count: int) -> list[slice]:
    return [slice(at, at + _TOGETHER) for at in range(0, count, _TOGETHER)]


def _normalised(vectors: Vector) -> Vector:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
