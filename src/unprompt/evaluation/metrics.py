"""The metric of this task: the mean cosine between true and predicted vectors, with its uncertainty."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from unprompt.prediction import Vector

RESAMPLES = 1000
SEED = 0
"""Fixed, so that the same scores always give the same interval."""

Numbers: TypeAlias = Sequence[float] | npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with the interval that holds 95 % of its bootstrap means; None if there is only one unit to resample."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of paired differences A - B with its interval, as in `Mean`, and the probability that A is better.

    `a_better` is the share of resamples in which A has the higher mean, counting a tie as half. Source: Koehn,
    "Statistical significance tests for machine translation evaluation" (2004).
    """

    mean: float
    low: float | None
    high: float | None
    a_better: float | None


def cosine(a: Vector, b: Vector) -> float:
    """The cosine between two unit vectors (384,)."""
    return float(np.dot(a, b))


def bootstrap(scores: Numbers, units: Sequence[Hashable] | None = None) -> Mean | None:
    """The mean of scores (n,) with its percentile interval; None if there are no scores.

    `units` (n,) says which scores belong together, such as those of pictures that share a prompt: whole units are
    resampled with replacement, since only units are independent (default: each score is one). Below about 30 units the
    interval is too narrow. Sources: Efron, "Bootstrap methods: another look at the jackknife" (1979); for units, Field
    and Welsh, "Bootstrapping clustered data" (2007), there called the randomised cluster bootstrap.
    """
    values = np.asarray(scores, np.float64)
    if not len(values):
        return None
    return Mean(float(values.mean()), *_interval(_resampled_means(values, units)))


def bootstrap_difference(a: Numbers, b: Numbers, units: Sequence[Hashable] | None = None) -> Difference | None:
    """The mean of a - b, scores (n,) of the same pictures, resampled in pairs as in `bootstrap`."""
    differences = np.subtract(a, b, dtype=np.float64)
    if not len(differences):
        return None
    means = _resampled_means(differences, units)
    better = float(((means > 0) + (means == 0) / 2).mean()) if len(means) else None
    return Difference(float(differences.mean()), *_interval(means), better)


def _interval(means: npt.NDArray[np.float64]) -> tuple[float | None, float | None]:
    if not len(means):
        return None, None
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _resampled_means(values: npt.NDArray[np.float64], units: Sequence[Hashable] | None) -> npt.NDArray[np.float64]:
    """Means (RESAMPLES,) over units drawn with replacement; empty if there is only one unit."""
    places = _numbered(units) if units is not None else np.arange(len(values))
    sums, sizes = np.bincount(places, values), np.bincount(places)  # (units,) each
    if len(sums) < 2:
        return np.empty(0)
    generator = np.random.default_rng(SEED)
    # One resample at a time: drawing all at once would take gigabytes on large data sets.
    draws = (generator.integers(len(sums), size=len(sums)) for _ in range(RESAMPLES))
    return np.array([sums[drawn].sum() / sizes[drawn].sum() for drawn in draws])


def _numbered(units: Sequence[Hashable]) -> npt.NDArray[np.intp]:
    """A number for each unit, in order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(unit, len(numbers)) for unit in units], np.intp)
