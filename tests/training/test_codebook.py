"""Codebooks: what many vectors gather around, and how they draw others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from unprompt.errors import DataError
from unprompt.training.codebook import Codebook, apart, condense

Vectors = npt.NDArray[np.float32]


def _unit(raw: npt.NDArray[np.float64]) -> Vectors:
    return (raw / np.linalg.norm(raw, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def directions() -> Vectors:
    """Four directions (4, 384), nearly at right angles."""
    return _unit(np.random.default_rng(1).standard_normal((4, 384)))


@pytest.fixture(scope="module")
def clusters(directions: Vectors) -> Vectors:
    """40, 30, 20 and 10 vectors (100, 384) around the four directions, in no order."""
    generator = np.random.default_rng(2)
    raw = np.repeat(directions, (40, 30, 20, 10), axis=0) + 0.02 * generator.standard_normal((100, 384))
    return generator.permutation(_unit(raw))


def test_a_codebook_has_a_unit_vector_in_the_middle_of_each_cluster(clusters: Vectors, directions: Vectors) -> None:
    found = condense(clusters, 4, seed=0)  # a seed that starts in all four: k-means may also split one
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    cosines = directions @ found.T
    assert (cosines.max(axis=1) > 0.99).all()
    owners = (clusters @ found.T).argmax(axis=1)
    for number, centre in enumerate(found):
        assert np.allclose(centre, _unit(clusters[owners == number].astype(np.float64).mean(axis=0)), atol=1e-6)


def test_equal_seeds_give_equal_codebooks_and_the_vectors_stay_as_they_are(clusters: Vectors) -> None:
    before = clusters.copy()
    assert np.array_equal(condense(clusters, 10, seed=3), condense(clusters, 10, seed=3))
    assert not np.array_equal(condense(clusters, 10, seed=3), condense(clusters, 10, seed=4))
    assert np.array_equal(clusters, before)


def test_copies_of_one_vector_leave_some_of_the_codebook_where_it_was(directions: Vectors) -> None:
    copies = np.repeat(directions[:2], 5, axis=0)
    found = condense(copies, 6)
    assert found.shape == (6, 384)
    assert np.allclose((found @ directions[:2].T).max(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [0, 101])
def test_a_codebook_is_smaller_than_what_it_stands_for(clusters: Vectors, size: int) -> None:
    with pytest.raises(DataError, match=f"found {size} vectors for 100"):
        condense(clusters, size)


def test_vectors_that_are_similar_to_others_are_left_out(clusters: Vectors, directions: Vectors) -> None:
    near_the_first = (clusters @ directions[0]) >= 0.7
    kept = apart(clusters, directions[:1])
    assert 0 < len(kept) < len(clusters)
    assert np.array_equal(kept, clusters[~near_the_first])
    assert apart(clusters, directions).shape == (0, 384)


def test_vectors_are_drawn_by_the_weighted_mean_of_all(clusters: Vectors, directions: Vectors) -> None:
    codebook = Codebook(directions, sharpness=7.0, share=0.25)
    for given, found in zip(clusters[:5], codebook.draw(clusters[:5]), strict=True):
        weights = [np.exp(7.0 * float(given.astype(np.float64) @ one)) for one in directions]
        mean = sum(weight * one.astype(np.float64) for weight, one in zip(weights, directions, strict=True))
        expected = 0.75 * given + 0.25 * mean / np.linalg.norm(mean)
        assert np.allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_no_share_changes_nothing_and_the_whole_answers_with_the_codebook_alone(directions: Vectors) -> None:
    given = _unit(directions[:1] + 0.3 * directions[1:2].astype(np.float64))
    assert np.allclose(Codebook(directions, 20, 0).draw(given), given, atol=1e-6)
    assert np.allclose(Codebook(directions, 1000, 1).draw(given), directions[:1], atol=1e-6)


@pytest.mark.parametrize(
    ("sharpness", "share"), [(0, 0.5), (-1, 0.5), (1001, 0.5), (np.nan, 0.5), (20, -0.1), (20, 1.1), (20, np.nan)]
)
def test_numbers_that_make_no_sense(directions: Vectors, sharpness: float, share: float) -> None:
    with pytest.raises(DataError, match="a share from 0 to 1, found"):
        Codebook(directions, sharpness, share)
