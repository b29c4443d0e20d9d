"""The similarity of texts in the metric space: `unprompt.embed` and `unprompt.similarity`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeAlias, overload

import numpy as np
import numpy.typing as npt

from unprompt.prediction import EMBEDDING_SIZE, Vector
from unprompt.text.sentence import SentenceEncoder

Texts: TypeAlias = str | Sequence[str] | npt.NDArray[np.floating]


def embed(texts: Sequence[str]) -> Vector:
    """The unit vectors (len(texts), 384) float32 of all-MiniLM-L6-v2, in the order of the texts.

    Raises TypeError for a bare string, which would otherwise be read as a list of letters.
    """
    if isinstance(texts, str):
        raise TypeError("expected a list of texts, found one text; write embed([text])[0]")
    return _encoder().encode(texts)


@overload
def similarity(a: str, b: str) -> float: ...
@overload
def similarity(a: Texts, b: Texts) -> float | Vector: ...
def similarity(a: Texts, b: Texts) -> float | Vector:
    """The cosine between texts or vectors, -1 to 1.

    Each argument is one text, one vector (384,), a list of texts or an array of vectors (n, 384). Two single ones give
    a float, one and several give (n,), several and several give all pairs (n, m). Vectors need not be of unit length.
    Raises ValueError for an array of another shape.
    """
    cosines = np.inner(_vectors(a), _vectors(b))
    return float(cosines) if cosines.ndim == 0 else np.asarray(cosines, np.float32)


def _vectors(texts: Texts) -> npt.NDArray[np.float64]:
    """Unit vectors (384,) or (n, 384), in float64 so that equal texts give 1 to the last digit shown."""
    raw = _raw_vectors(texts).astype(np.float64)
    if raw.ndim not in (1, 2) or raw.shape[-1] != EMBEDDING_SIZE:
        raise ValueError(f"expected vectors ({EMBEDDING_SIZE},) or (n, {EMBEDDING_SIZE}), found {raw.shape}")
    unit: npt.NDArray[np.float64] = raw / np.linalg.norm(raw, axis=-1, keepdims=True)
    return unit


def _raw_vectors(texts: Texts) -> npt.NDArray[np.floating]:
    if isinstance(texts, np.ndarray):
        return texts
    return embed([texts])[0] if isinstance(texts, str) else embed(texts)


@functools.lru_cache(maxsize=1)
def _encoder() -> SentenceEncoder:
    return SentenceEncoder.embedded()
