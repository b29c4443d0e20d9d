"""The field's measure of this task: the mean cosine between true and predicted vectors, with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unprompt.prediction import Vector

RESAMPLES = 1000
SEED = 0
"""The same scores always get the same interval."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean and the interval in which 95 % of the bootstrap's means lie."""

    mean: float
    low: float
    high: float


def cosine(a: Vector, b: Vector) -> float:
    """The cosine between two unit vectors (384,)."""
    return float(np.dot(a, b))


def bootstrap(scores: Sequence[float] | Vector) -> Mean | None:
    """The mean of scores (n,) with its percentile interval; None where there are none.

    Records are resampled one by one, with replacement. Where several share a prompt they are not independent, and the
    true interval is wider. Source: Efron, "Bootstrap methods: another look at the jackknife" (1979).
    """
    values = np.asarray(scores, np.float64)
    if not len(values):
        return None
    generator = np.random.default_rng(SEED)
    # One resample at a time: all at once would take gigabytes for large sets.
    means = [values[generator.integers(len(values), size=len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Mean(float(values.mean()), float(low), float(high))
