"""Many votes, one vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unprompt.prediction import Vector, Vote


def fuse(votes: Sequence[Vote]) -> Vector:
    """The unit vector (384,) float32 in the middle: normalise(sum of weight * vote).

    Votes without a vector do not count, and the weights of the others keep their proportions. Votes that cancel out
    leave the heaviest one (the first of equals). Raises ValueError where no vote has a vector.
    """
    cast = [(vote.weight, vote.vector) for vote in votes if vote.vector is not None]
    if not cast:
        raise ValueError("expected a vote with a vector, found none")
    weights = np.array([weight for weight, _ in cast])
    vectors = np.array([vector for _, vector in cast], np.float64)  # (votes, 384)
    total = weights @ vectors / weights.sum()
    length = np.linalg.norm(total)
    if length < 1e-6:
        total = vectors[weights.argmax()]
        length = np.linalg.norm(total)
    return np.asarray(total / length, np.float32)
