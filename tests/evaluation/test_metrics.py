"""Means and their intervals."""

import numpy as np
import pytest

from unprompt.evaluation.metrics import bootstrap, bootstrap_difference, cosine


def test_cosine() -> None:
    assert cosine(np.array([0.6, 0.8], np.float32), np.array([1, 0], np.float32)) == pytest.approx(0.6)


def test_the_interval_is_that_of_the_normal_law() -> None:
    scores = np.random.default_rng(1).normal(0.5, 0.2, size=900)
    found = bootstrap(scores)
    assert found is not None
    assert found.mean == pytest.approx(scores.mean())
    error = scores.std() / np.sqrt(len(scores))
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.1 * 1.96 * error)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.1 * 1.96 * error)


def test_the_same_scores_get_the_same_interval() -> None:
    scores = np.linspace(0, 1, 50)
    assert bootstrap(scores) == bootstrap(scores.tolist())


def test_one_score_has_no_interval_and_none_has_no_mean() -> None:
    one = bootstrap([0.25])
    assert one is not None
    assert (one.mean, one.low, one.high) == (0.25, None, None)
    assert bootstrap([]) is None


def width(scores: list[float], units: list[int] | None = None) -> float:
    found = bootstrap(scores, units)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_units_of_one_score_change_nothing() -> None:
    scores = np.random.default_rng(1).normal(size=80).tolist()
    assert bootstrap(scores, list(range(80))) == bootstrap(scores)


def test_copies_add_no_certainty() -> None:
    scores = np.random.default_rng(1).normal(size=50).tolist()
    copied, units = scores * 9, list(range(50)) * 9
    assert width(copied, units) == pytest.approx(width(scores), rel=1e-9)
    assert width(copied) == pytest.approx(width(scores) / 3, rel=0.15)


def test_the_interval_over_units_is_that_of_their_means() -> None:
    rng = np.random.default_rng(2)
    means = rng.normal(size=400)
    scores = (means[:, None] + 0.1 * rng.normal(size=(400, 5))).ravel().tolist()
    units = np.repeat(np.arange(400), 5).tolist()
    assert width(scores, units) == pytest.approx(2 * 1.96 * means.std() / 20, rel=0.1)


def test_units_need_not_be_alike_nor_stand_together() -> None:
    found = bootstrap([0.0, 1.0, 0.0, 1.0, 1.0], ["a", 7, "a", 7, ("b",)])  # type: ignore[list-item]
    assert found is not None
    assert (found.mean, found.low, found.high) == (0.6, 0.0, 1.0)


def test_one_unit_has_no_interval() -> None:
    found = bootstrap([0.1, 0.5], ["same", "same"])
    assert found is not None
    assert (found.mean, found.low, found.high) == (0.3, None, None)


def test_a_difference_is_paired() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(size=300)  # what both have in common tells nothing of their difference
    a, b = hard + 0.02 + 0.01 * rng.normal(size=300), hard
    found = bootstrap_difference(a, b)
    assert found is not None
    assert found.mean == pytest.approx((a - b).mean())
    assert found.low is not None
    assert found.high is not None
    assert 0.018 < found.low < found.mean < found.high < 0.022
    assert found.a_better == 1.0


def test_the_probability_is_that_of_the_normal_law() -> None:
    differences = np.random.default_rng(4).normal(size=400)
    differences += 0.05 - differences.mean()  # one standard error above 0
    differences /= differences.std()
    found = bootstrap_difference(differences, np.zeros(400))
    assert found is not None
    assert found.a_better == pytest.approx(0.84, abs=0.04)
    swapped = bootstrap_difference(np.zeros(400), differences)
    assert swapped is not None
    assert swapped.a_better == pytest.approx(1 - found.a_better)
    assert (swapped.low, swapped.high) == pytest.approx((-(found.high or 0), -(found.low or 0)))


def test_equal_scores_are_a_tie() -> None:
    found = bootstrap_difference([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert found is not None
    assert (found.mean, found.low, found.high, found.a_better) == (0.0, 0.0, 0.0, 0.5)
    assert bootstrap_difference([], []) is None
    alone = bootstrap_difference([0.2], [0.1])
    assert alone is not None
    assert (alone.low, alone.a_better) == (None, None)
