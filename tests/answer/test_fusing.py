"""Many votes, one vector; and their weights."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from unprompt.answer.fusing import Votes, fit_weights, fuse, fuse_concepts
from unprompt.prediction import CONCEPTS_LIMIT, EMBEDDING_SIZE, Concept, Vector, Vote


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


Array = npt.NDArray[np.float64]


def unit(raw: Array) -> Array:
    vectors: Array = raw / np.linalg.norm(raw, axis=-1, keepdims=True)
    return vectors


def electorate(count: int = 300, seed: int = 0) -> tuple[Array, Array]:
    """Votes (count, 4, 384) and the truth: a good member, a fair one, one that repeats the errors of both, noise."""
    rng = np.random.default_rng(seed)
    true, *errors = (unit(rng.standard_normal((count, EMBEDDING_SIZE))) for _ in range(5))
    good, fair = true + 1.2 * errors[0], true + 1.6 * errors[1]
    echo = true + 2.5 * (0.6 * errors[0] + 0.4 * errors[1] + 0.5 * errors[2])
    return unit(np.stack([good, fair, echo, errors[3]], axis=1)), true


def grid(members: int, steps: int) -> list[Array]:
    """All weights that are multiples of 1 / steps."""
    shares = itertools.product(range(steps + 1), repeat=members)
    return [np.array(share) / steps for share in shares if sum(share) == steps]


def test_cosines_are_those_of_the_fused_vectors() -> None:
    vectors, true = electorate(20)
    vectors[3, 1] = 0  # this member gave no vector
    vectors[4, 1] = -vectors[4, 0]
    vectors[4, 2:] = 0  # these cancel out
    weights = np.array([0.25, 0.25, 0.2, 0.3])
    expected = [
        fuse([Vote(str(n), w, np.float32(v) if v.any() else None) for n, (w, v) in enumerate(zip(weights, row))]) @ t  # noqa: B905
        for row, t in zip(vectors, true, strict=True)
    ]
    assert Votes.of(vectors, true).cosines(weights) == pytest.approx(expected, abs=1e-6)


def test_the_gradient_is_that_of_the_mean_cosine() -> None:
    votes = Votes.of(*electorate(50))
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    step = 1e-6 * np.eye(4)
    slopes = [(votes.cosines(weights + e).mean() - votes.cosines(weights - e).mean()) / 2e-6 for e in step]
    assert votes.gradient(weights) == pytest.approx(slopes, abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_no_weights_of_a_grid_are_better(seed: int) -> None:
    votes = Votes.of(*electorate(seed=seed))
    weights = fit_weights(votes, np.full(4, 0.25))
    tried = grid(4, 20)
    heights = [votes.cosines(point).mean() for point in tried]
    assert votes.cosines(weights).mean() >= max(heights)
    assert np.abs(weights - tried[int(np.argmax(heights))]).max() <= 0.05


def test_who_knows_nothing_gets_nothing() -> None:
    weights = fit_weights(Votes.of(*electorate()), np.array([0.1, 0.1, 0.1, 0.7]))
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    assert weights[3] < 0.01
    assert weights[0] > weights[1] > 0.1


def test_weights_do_not_depend_on_the_start() -> None:
    votes = Votes.of(*electorate())
    found = [fit_weights(votes, np.array(start)) for start in ([0.25] * 4, [0.0, 0.0, 0.0, 1.0], [8.0, 1.0, 1.0, 1.0])]
    assert np.ptp(found, axis=0).max() < 1e-5


def test_one_who_is_always_right_decides_alone() -> None:
    vectors, true = electorate(100)
    vectors[:, 1] = true
    assert fit_weights(Votes.of(vectors, true), np.full(4, 0.25)) == pytest.approx([0, 1, 0, 0], abs=1e-6)


def test_who_never_votes_gets_nothing() -> None:
    vectors, true = electorate(100)
    vectors[:, 1] = 0
    weights = fit_weights(Votes.of(vectors, true), np.full(4, 0.25))
    others = fit_weights(Votes.of(vectors[:, [0, 2, 3]], true), np.full(3, 0.25))
    assert weights[1] == 0
    assert weights[[0, 2, 3]] == pytest.approx(others)


def test_twins_share_as_they_started() -> None:
    vectors, true = electorate(50)
    twins = np.stack([vectors[:, 0], vectors[:, 0]], axis=1)
    assert fit_weights(Votes.of(twins, true), np.array([0.3, 0.7])) == pytest.approx([0.3, 0.7])


def test_concepts_are_the_weighted_mean_of_those_who_name_them() -> None:
    votes = [
        Vote("a", 0.75, concepts=(Concept("castle", 0.8), Concept("hill", 0.4, "general"))),
        Vote("b", 0.25, concepts=(Concept("castle", 0.4, "place"), Concept("oil", 0.7))),
        Vote("c", 0.5),
    ]
    fused = fuse_concepts(votes)
    assert [concept.name for concept in fused] == ["castle", "oil", "hill"]
    assert [concept.probability for concept in fused] == pytest.approx([0.7, 0.7, 0.4])
    assert [concept.category for concept in fused] == ["place", "", "general"]
    assert fuse_concepts(votes[2:]) == ()


def test_the_concepts_of_an_answer_are_bounded() -> None:
    many = tuple(Concept(f"{number:04}", number % 7 / 10) for number in range(5000))
    fused = fuse_concepts([Vote("a", 1.0, concepts=many)])
    assert [concept.name for concept in fused[:2]] == ["0006", "0013"]
    assert len(fused) == CONCEPTS_LIMIT
