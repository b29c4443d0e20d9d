"""Vectors with 8 bits per number: each row is scaled to the full range; the unit length restores its scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unprompt.prediction import Vector
from unprompt.vocabulary.vector_file import Half

_LARGEST = 127


@dataclass(frozen=True, eq=False)
class Codes:
    """Rows of int8 (rows, size), perhaps memory-mapped, that are read like an array of float16 of unit length.

    A row of zeros, which only damage makes, is read as NaN.
    """

    codes: npt.NDArray[np.int8]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.codes.shape

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> Half:
        wide = self.codes[rows].astype(np.float32)
        # Sums of so many squares are exact in float32, so a row is read alike whatever is read with it.
        lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        with np.errstate(invalid="ignore"):
            wide /= lengths[:, None]
        return wide.astype(np.float16)


def to_codes(vectors: Vector) -> npt.NDArray[np.int8]:
    """Round unit vectors (rows, size) to 8 bits per number."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    return np.asarray(np.round(vectors / largest * _LARGEST), np.int8)
