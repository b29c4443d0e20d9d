"""A codebook: some thousand vectors that stand for all prompts, towards which the fused vector is drawn.

The fused vector lies between the vectors of all prompts that a picture could have, where no prompt is. Drawn towards
the codebook it comes nearer to the true prompt, but loses what is particular to the picture. So sentences are searched
for with the vector that is not drawn.
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
"""A sum shorter than this has no direction."""


@dataclass(frozen=True, eq=False)
class Codebook:
    """Unit vectors (n, 384): the centres of clusters of prompts."""

    vectors: Vector

    @classmethod
    def read(cls, folder: ModelFolder) -> Codebook:
        """Reads the codebook of a model folder. Raises ModelError if it holds another model or is damaged."""
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
        """Draws each of the unit vectors (m, 384) towards a weighted mean of the codebook.

        In the mean a codebook vector has the weight exp(sharpness * cosine); it is scaled to unit length. The result is
        normalise((1 - share) * vector + share * mean), or the vector itself if that sum cancels out.
        Source: the update rule of a modern Hopfield network, Ramsauer et al., "Hopfield networks is all you need"
        (2020), which is attention to stored patterns.
        """
        cosines = products(vectors, self.vectors)  # (m, n)
        weights = np.exp(sharpness * (cosines - cosines.max(axis=1, keepdims=True)))
        mean = products(weights, self.vectors.T)
        mean /= np.maximum(_lengths(mean), _CANCELLED)
        drawn = (1 - share) * vectors + share * mean
        drawn = np.where(_lengths(drawn) < _CANCELLED, vectors, drawn)
        return np.asarray(drawn / _lengths(drawn), np.float32)


def check_codebook(folder: ModelFolder) -> None:
    """Raises ModelError if a folder's config says that it is no codebook; the vectors are not read."""
    if (found := folder.config["architecture"]) != ARCHITECTURE:
        raise ModelError(
            f"model {folder.name}: expected the architecture {ARCHITECTURE!r}, found {found!r}; "
            "'unprompt codebook build' makes one"
        )


def _lengths(vectors: Vector) -> Vector:
    return np.asarray(np.linalg.norm(vectors, axis=1, keepdims=True))
