"""The similarity of texts in the metric space: `unprompt.embed` and `unprompt.similarity`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TypeAlias, overload

import numpy as np
import numpy.typing as npt

from unprompt.prediction import EMBEDDING_SIZE, Vector
from unprompt.text.sentence import SentenceEncoder

Texts: TypeAlias = str | Sequence[str] | npt.NDArray[np.floating]


def embed(texts: Iterable[str]) -> Vector:
    """The unit vectors (number of texts, 384) float32 of all-MiniLM-L6-v2, in the order of the texts.

    Only the first 256 word pieces of a text count, about 200 words. Raises TypeError for a bare string, which would
    otherwise be read as a list of letters, and for what is no text.
    """
    return _encoder().encode(listed_texts(texts, "embed([text])[0]"))


def listed_texts(texts: Iterable[str], call: str) -> list[str]:
    """The texts as a list. Raises TypeError for one bare text, which `call` takes so, and for what is no text."""
    if isinstance(texts, str):
        raise TypeError(f"expected a list of texts, found one text; write {call}")
    if not isinstance(texts, Iterable):
        raise TypeError(f"expected a list of texts, found {type(texts).__name__}")
    listed = list(texts)
    for place, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(
                f"expected texts, found {type(text).__name__} at index {place}; leave it out, or give '' in its place"
            )
    return listed


@overload
def similarity(a: str, b: str) -> float: ...
@overload
def similarity(a: Texts, b: Texts) -> float | Vector: ...
def similarity(a: Texts, b: Texts) -> float | Vector:
    """The cosine between texts or vectors, -1 to 1.

    Each argument is one text, one vector (384,), a list of texts or an array of vectors (n, 384). Two single ones give
    a float, one and several give (n,), several and several give all pairs (n, m). Vectors need not be of unit length.
    Raises ValueError for an array of another shape or a vector of length 0, TypeError as `embed` does.
    """
    cosines = np.inner(_vectors(a), _vectors(b))
    return float(cosines) if cosines.ndim == 0 else np.asarray(cosines, np.float32)


def _vectors(texts: Texts) -> npt.NDArray[np.float64]:
    """Unit vectors (384,) or (n, 384), in float64 so that equal texts give 1 to the last digit shown."""
    raw = _raw_vectors(texts).astype(np.float64)
    if raw.ndim not in (1, 2) or raw.shape[-1] != EMBEDDING_SIZE:
        raise ValueError(f"expected vectors ({EMBEDDING_SIZE},) or (n, {EMBEDDING_SIZE}), found {raw.shape}")
    lengths = np.linalg.norm(raw, axis=-1, keepdims=True)
    if not lengths.all():
        raise ValueError("expected vectors with a direction, found one of length 0")
    unit: npt.NDArray[np.float64] = raw / lengths
    return unit


def _raw_vectors(texts: Texts) -> npt.NDArray[np.floating]:
    if isinstance(texts, np.ndarray) and texts.dtype.kind not in "OU":
        return texts
    return embed([texts])[0] if isinstance(texts, str) else embed(texts)


@functools.lru_cache(maxsize=1)
def _encoder() -> SentenceEncoder:
    return SentenceEncoder.embedded()
