"""How reliable confidences are: compared with the cosines that turned out to be true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unprompt.output.records import rounded
from unprompt.prediction import Confidence

BINS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """A confidence, and the cosine of the answer's vector with the true prompt's."""

    confidence: Confidence
    true: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures of similar confidence: how many, their mean estimate, and mean, 10 % and 90 % quantile of the truth."""

    n: int
    estimate: float
    true: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How reliable the confidences of `n` pictures are.

    `error` is the mean distance of estimate and truth; `error_without` that of their own mean cosine and the truth,
    which nothing that ignores the pictures beats by much. `bias` is the mean of estimate minus truth. `coverage` is the
    share of pictures whose truth is in its range, which should be 0.8. `correlation` is Pearson's, 0 if one side is
    constant. `bins` hold equally many pictures each, least sure first.
    """

    n: int
    error: float
    error_without: float
    bias: float
    coverage: float
    correlation: float
    bins: tuple[Bin, ...]


def reliability(judged: Sequence[Judged]) -> Reliability:
    """Judge confidences, at least one."""
    estimates = np.array([each.confidence.estimate for each in judged])
    true = np.array([each.true for each in judged])
    inside = [each.confidence.low <= each.true <= each.confidence.high for each in judged]
    varied = estimates.std() > 0 and true.std() > 0
    return Reliability(
        n=len(judged),
        error=float(np.abs(estimates - true).mean()),
        error_without=float(np.abs(true - true.mean()).mean()),
        bias=float((estimates - true).mean()),
        coverage=float(np.mean(inside)),
        correlation=float(np.corrcoef(estimates, true)[0, 1]) if varied else 0.0,
        bins=tuple(
            Bin(
                len(part),
                float(estimates[part].mean()),
                float(true[part].mean()),
                *(float(end) for end in np.quantile(true[part], [0.1, 0.9])),
            )
            for part in np.array_split(np.argsort(estimates, kind="stable"), min(BINS, len(judged)))
        ),
    )


def reliability_record(found: Reliability) -> dict[str, Any]:
    """A reliability as reports hold it, with its numbers rounded."""

    def plain(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return [plain(each) for each in value]
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        return value if isinstance(value, int) else rounded(value)

    record: dict[str, Any] = plain(asdict(found))
    return record
