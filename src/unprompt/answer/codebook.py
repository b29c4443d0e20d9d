"""A codebook: a few vectors that stand for all that people ask for, and towards which the fused vector is drawn.

The fused vector lies between all that a picture could be, and so where no prompt is. Drawn, it comes nearer to the true
prompt's, but it loses what is particular to the picture: so sentences are aimed at the vector before it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.stored_vectors import read_vectors, write_vectors
from unprompt.prediction import Vector
from unprompt.text.products import products

ARCHITECTURE = "codebook"
VECTORS = "codebook.npy"

_CANCELLED = 1e-6
"""The length of a sum that says nothing."""


@dataclass(frozen=True, eq=False)
class Codebook:
    """Unit vectors (n, 384) of prompts, or of what many prompts gather around."""

    vectors: Vector

    @classmethod
    def read(cls, folder: ModelFolder) -> Codebook:
        """The codebook of a model folder. Raises ModelError where that holds something else, or is damaged."""
        check_codebook(folder)
        codebook = cls(read_vectors(folder, VECTORS))
        if not len(codebook.vectors):
            raise ModelError(f"model {folder.name}: expected vectors in {VECTORS}, found none; build it again")
        return codebook

    def write(self, folder: Path) -> list[str]:
        """Writes the vectors in 8 bits; returns the names of the files."""
        write_vectors(folder / VECTORS, self.vectors)
        return [VECTORS]

    def draw(self, vectors: Vector, *, share: float, sharpness: float) -> Vector:
        """Unit vectors (m, 384), each moved towards the mean of the codebook, in which the nearest weigh most.

        A vector of the codebook weighs exp(sharpness * cosine); the mean, at unit length, has `share` in the sum, and
        the vector the rest. One that the mean cancels out stays as it is. Source: the update of a modern Hopfield
        network, Ramsauer et al., "Hopfield networks is all you need" (2020), which is attention to stored patterns.
        """
        cosines = products(vectors, self.vectors)  # (m, n)
        weights = np.exp(sharpness * (cosines - cosines.max(axis=1, keepdims=True)))
        mean = products(weights, self.vectors.T)
        mean /= np.maximum(_lengths(mean), _CANCELLED)
        drawn = (1 - share) * vectors + share * mean
        drawn = np.where(_lengths(drawn) < _CANCELLED, vectors, drawn)
        return np.asarray(drawn / _lengths(drawn), np.float32)


def check_codebook(folder: ModelFolder) -> None:
    """Raises ModelError where the config says that a folder holds something else; the vectors are not read."""
    if (found := folder.config["architecture"]) != ARCHITECTURE:
        raise ModelError(
            f"model {folder.name}: expected the architecture {ARCHITECTURE!r}, found {found!r}; "
            "'unprompt codebook build' makes one"
        )


def _lengths(vectors: Vector) -> Vector:
    return np.asarray(np.linalg.norm(vectors, axis=1, keepdims=True))
