"""Building a codebook: many prompts, condensed into the few vectors that they gather around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.codebook import ARCHITECTURE, Codebook
from unprompt.datasets.comparison import Steps
from unprompt.datasets.prompts import PromptSource
from unprompt.datasets.vectors import VectorStore
from unprompt.errors import DataError
from unprompt.models.folder import CARD, ModelFolder, check_replaceable, replacing, write_config
from unprompt.models.stored_vectors import VECTORS_LIMIT
from unprompt.prediction import Vector
from unprompt.text.fingerprints import fingerprint
from unprompt.training.texts import read_texts

ROUNDS = 10
"""Of k-means: with 6 of them, on fewer prompts, codebooks scored the same."""

SAME_PROMPT = 0.7
"""Prompts this near (cosine) are similar, as in the groups of prompts that the data sets were split by."""

_TOGETHER = 4096  # vectors in one product: their cosines with a few thousand others stay under 100 MB


def build_codebook(
    texts: Sequence[Path],
    folder: Path,
    store: VectorStore,
    *,
    size: int,
    apart_from: str | None = None,
    licence: str,
    steps: Steps,
) -> ModelFolder:
    """Writes a model folder with `size` vectors that stand for the texts of files; see `read_texts`.

    Texts that are similar to a prompt of the data set or list `apart_from` are left out. The vectors of all are kept in
    `store`, so that a run that was stopped goes on. The card of a model that lies in `folder` stays. In memory a text
    takes 3 kB. Raises DataError where there are too few texts, or one cannot be read; ModelError where `folder` holds
    anything but a model.
    """
    check_replaceable(folder)
    others = [] if apart_from is None else _prompts(apart_from, steps)
    read = read_texts(texts)
    _check_size(size, len(read))
    vectors = _encoded(read, store, steps)
    if others:
        vectors = apart(vectors, _encoded(others, store, steps))
    with steps("condensing", ROUNDS, "rounds") as advance:
        codebook = Codebook(condense(vectors, size, advance=advance))
    config = {
        "name": folder.resolve().name,
        "architecture": ARCHITECTURE,
        "licence": licence,
        "origin": f"built by unprompt codebook build from {', '.join(path.name for path in texts)}",
        "size": size,
        "prompts": len(vectors),
    }
    with replacing(folder) as new:
        card = folder / CARD
        if card.is_file():
            (new / CARD).write_bytes(card.read_bytes())
        write_config(new, config, codebook.write(new))
    return ModelFolder.open(folder)


def condense(
    vectors: Vector, size: int, *, seed: int = 0, advance: Callable[[int], None] = lambda done: None
) -> Vector:
    """The `size` unit vectors that many (n, 384) gather around: spherical k-means, starting from some of them.

    Equal vectors and seeds give equal ones, with one BLAS. `advance` hears of each of the `ROUNDS`. Raises DataError
    where there are fewer vectors than `size`.
    Source: Dhillon and Modha, "Concept decompositions for large sparse text data using clustering" (2001).
    """
    _check_size(size, len(vectors))
    drawn = np.random.default_rng(seed).permutation(len(vectors))[:size]
    centres = vectors[np.sort(drawn)]
    for _ in range(ROUNDS):
        owners = _nearest(vectors, centres)
        order = np.argsort(owners, kind="stable")
        owned, starts = np.unique(owners[order], return_index=True)
        # One that owns nothing stays where it is.
        centres[owned] = _normalised(np.add.reduceat(vectors[order], starts, axis=0))
        advance(1)
    return centres


def apart(vectors: Vector, others: Vector) -> Vector:
    """Those of the vectors (n, 384) that are similar to none of the others (m, 384)."""
    kept = [part[(part @ others.T).max(axis=1) < SAME_PROMPT] for part in _parts(vectors)]
    return np.concatenate(kept)


def _check_size(size: int, count: int) -> None:
    if not 0 < size <= min(count, VECTORS_LIMIT):
        raise DataError(
            f"expected a codebook of at most {VECTORS_LIMIT:,} vectors and of no more than there are texts, found "
            f"{size:,} vectors for {count:,}; give more texts, or another size"
        )


def _prompts(source: str, steps: Steps) -> list[str]:
    """The different prompts of a data set or list."""
    with steps("reading", None) as advance:
        prompts: dict[str, None] = {}
        for entry in PromptSource(source).entries():
            prompts[entry.prompt] = None
            advance(1)
    return list(prompts)


def _encoded(texts: Sequence[str], store: VectorStore, steps: Steps) -> Vector:
    """The unit vectors of different texts (n, 384), in order."""
    keys = np.fromiter(map(fingerprint, texts), np.uint64, len(texts))
    if missing := int(np.count_nonzero(store.rows(keys) < 0)):
        with steps("encoding", missing) as advance:
            store.keep(texts, advance)
    return _normalised(store.vectors[store.rows(keys)].astype(np.float32))


def _nearest(vectors: Vector, centres: Vector) -> npt.NDArray[np.intp]:
    return np.concatenate([(part @ centres.T).argmax(axis=1) for part in _parts(vectors)])


def _parts(vectors: Vector) -> list[Vector]:
    return [vectors[at : at + _TOGETHER] for at in range(0, len(vectors), _TOGETHER)]


def _normalised(vectors: Vector) -> Vector:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
