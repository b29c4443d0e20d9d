"""Many votes, one vector."""

import numpy as np
import pytest

from unprompt.ensemble import fuse
from unprompt.prediction import EMBEDDING_SIZE, Vector, Vote


def axis(number: int) -> Vector:
    return np.eye(EMBEDDING_SIZE, dtype=np.float32)[number]


def test_one_member_is_the_answer() -> None:
    fused = fuse([Vote("a", 1.0, vector=axis(3))])
    assert np.array_equal(fused, axis(3))
    assert fused.dtype == np.float32


def test_the_sum_is_weighted_and_brought_to_unit_length() -> None:
    fused = fuse([Vote("a", 0.8, vector=axis(0)), Vote("b", 0.6, vector=axis(1))])
    assert np.allclose(fused, 0.8 * axis(0) + 0.6 * axis(1), atol=1e-7)
    assert np.linalg.norm(fused) == pytest.approx(1, abs=1e-6)


def test_who_gave_no_vector_does_not_count() -> None:
    votes = [Vote("a", 0.3, vector=axis(0)), Vote("b", 0.3, vector=axis(1))]
    silent = Vote("c", 0.4, texts=("a cat",))
    assert np.array_equal(fuse([votes[0], silent, votes[1]]), fuse(votes))


def test_votes_that_cancel_out_leave_the_heaviest() -> None:
    assert np.array_equal(fuse([Vote("a", 0.5, vector=axis(0)), Vote("b", 0.5, vector=-axis(0))]), axis(0))


def test_no_vector_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a vote with a vector"):
        fuse([Vote("c", 1.0, texts=("a cat",))])
