"""Vectors of training texts, computed once and stored in the run's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unprompt.durable import replacing_file
from unprompt.errors import DataError
from unprompt.text.sentence import SentenceEncoder

TEXTS_AT_A_TIME = 4096


def target_vectors(texts: Sequence[str], cache: Path) -> npt.NDArray[np.float32]:
    """Unit vectors (len(texts), 384), stored in `cache` under the hash of the texts.

    Raises DataError if there are no texts.
    """
    if not texts:
        raise DataError("there are no texts to learn from")
    key = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def encode() -> npt.NDArray[np.float32]:
        encoder = SentenceEncoder.embedded()
        parts = [encoder.encode(texts[at : at + TEXTS_AT_A_TIME]) for at in range(0, len(texts), TEXTS_AT_A_TIME)]
        return np.concatenate(parts)

    return kept(cache / f"vectors-{key}.npy", encode)


def kept(path: Path, compute: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The array in `path`; if there is none yet, the result of `compute`, which is then stored there."""
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False))
    computed = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as file:
        np.save(file, computed)
    return computed
