"""How reliable confidences are."""

import numpy as np
import pytest

from unprompt.evaluation.reliability import BINS, Judged, reliability
from unprompt.prediction import Confidence


def judged(estimate: float, true: float, spread: float = 0.1) -> Judged:
    return Judged(Confidence(estimate, estimate - spread, estimate + spread), true)


def test_estimates_that_are_right_on_average() -> None:
    generator = np.random.default_rng(0)
    estimates = generator.uniform(0.2, 0.8, 2000)
    errors = generator.normal(0, 0.1, 2000)
    found = reliability([judged(each, each + error, 0.128) for each, error in zip(estimates, errors, strict=True)])
    assert found.n == 2000
    assert found.coverage == pytest.approx(0.8, abs=0.02)
    assert found.error == pytest.approx(0.08, abs=0.005)
    assert found.error_without == pytest.approx(np.abs(estimates + errors - (estimates + errors).mean()).mean())
    assert found.correlation > 0.8
    assert [each.n for each in found.bins] == [200] * BINS
    assert all(each.estimate == pytest.approx(each.true, abs=0.03) for each in found.bins)
    assert all(each.low < each.true < each.high for each in found.bins)
    assert [each.estimate for each in found.bins] == sorted(each.estimate for each in found.bins)


def test_estimates_that_are_too_high_have_a_bias() -> None:
    found = reliability([judged(0.7, 0.5), judged(0.6, 0.4)])
    assert (found.bias, found.coverage) == (pytest.approx(0.2), 0.0)
    assert len(found.bins) == 2


def test_one_picture_has_no_correlation() -> None:
    found = reliability([judged(0.5, 0.55)])
    assert (found.n, found.correlation, found.coverage) == (1, 0.0, 1.0)
