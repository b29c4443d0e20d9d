"""Means and their intervals."""

import numpy as np
import pytest

from unprompt.evaluation.metrics import bootstrap, cosine


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


def test_one_score_and_none() -> None:
    one = bootstrap([0.25])
    assert one is not None
    assert (one.mean, one.low, one.high) == (0.25, 0.25, 0.25)
    assert bootstrap([]) is None
