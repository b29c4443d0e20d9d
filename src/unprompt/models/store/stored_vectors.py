"""Unit vectors in a .npy file of a model folder, with 8 bits per number: the unit length restores the scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder
from unprompt.prediction import EMBEDDING_SIZE, Vector

VECTORS_LIMIT = 100_000
"""Vectors per file, which take 150 MB in memory."""

_LARGEST = 127


def write_vectors(path: Path, vectors: Vector) -> None:
    """Write unit vectors (n, 384) as int8, each row scaled to the full range."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    np.save(path, np.round(vectors / largest * _LARGEST).astype(np.int8))


def read_vectors(folder: ModelFolder, name: str) -> Vector:
    """Read unit vectors (n, 384). Raises ModelError if the file holds anything else."""
    try:
        vectors = _read(folder.file(name)).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not lengths.all():
            raise ValueError("found one that is all zeros")
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model {folder.name}: expected unit vectors of {EMBEDDING_SIZE} numbers of 8 bits, at most "
            f"{VECTORS_LIMIT:,}, in {name}: {error}; make the model again"
        ) from error
    return np.asarray(vectors / lengths, np.float32)


def _read(path: Path) -> npt.NDArray[np.int8]:
    """Read the numbers (n, 384), after checking the header. Raises ValueError, OSError."""
    with path.open("rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):  # what np.save writes
            raise ValueError("found another version of .npy")
        shape, by_columns, kind = np.lib.format.read_array_header_1_0(file)
        if kind != np.int8 or by_columns or len(shape) != 2 or shape[1] != EMBEDDING_SIZE:
            raise ValueError(f"found the shape {shape} of {kind}")
        if not 0 <= shape[0] <= VECTORS_LIMIT:
            raise ValueError(f"found {shape[0]:,}")
        return np.fromfile(file, np.int8, shape[0] * shape[1]).reshape(shape)
