"""Mixtures of a text's vector with those of its neighbours."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.training.neighbours import Neighbours


def _clusters() -> npt.NDArray[np.float32]:
    """Four clusters of six unit vectors (24, 384): of two of one cluster the cosine is about 0.7, of others about 0."""
    rng = np.random.default_rng(0)
    raw = np.repeat(rng.standard_normal((4, 384)), 6, axis=0) + 0.65 * rng.standard_normal((24, 384))
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def test_the_nearest_are_those_of_the_cluster_without_the_text_itself(tmp_path: Path) -> None:
    vectors = _clusters()
    neighbours = Neighbours(vectors, 5, tmp_path, seed=1)
    nearest = neighbours.of(vectors, "train")
    assert nearest.shape == (24, 5)
    pool = vectors[np.random.default_rng(1).permutation(24)]
    similarity = np.einsum("nd,nkd->nk", vectors, pool[nearest])
    assert similarity.max() < 0.99
    assert similarity.min() > 0.5


def test_they_are_found_once(tmp_path: Path) -> None:
    vectors = _clusters()
    nearest = Neighbours(vectors, 5, tmp_path, seed=1).of(vectors, "train")
    (kept,) = tmp_path.iterdir()
    np.save(kept, nearest[::-1])  # so that reading it can be told from finding them again
    assert np.array_equal(Neighbours(vectors, 5, tmp_path, seed=1).of(vectors, "train"), nearest[::-1])


def test_other_texts_of_the_same_number_do_not_find_them(tmp_path: Path) -> None:
    vectors = _clusters()
    nearest = Neighbours(vectors, 5, tmp_path, seed=1).of(vectors, "train")
    turned = Neighbours(vectors, 5, tmp_path, seed=1).of(np.roll(vectors, 6, axis=0), "train")
    assert len(list(tmp_path.iterdir())) == 2
    assert np.array_equal(np.sort(turned), np.sort(np.roll(nearest, 6, axis=0)))


def test_mixtures_lie_between(tmp_path: Path) -> None:
    vectors = _clusters()
    neighbours = Neighbours(vectors, 5, tmp_path, seed=1)
    nearest = neighbours.of(vectors, "train")
    mixed = neighbours.mix(vectors, nearest, np.random.default_rng(2))
    assert mixed.dtype == np.float32
    assert np.allclose(np.linalg.norm(mixed, axis=1), 1, atol=1e-5)
    cosines = (mixed * vectors).sum(axis=1)
    assert 0.6 < cosines.min() < 0.9 < cosines.max() < 1.0001
    assert np.array_equal(mixed, neighbours.mix(vectors, nearest, np.random.default_rng(2)))
    assert not np.allclose(mixed, neighbours.mix(vectors, nearest, np.random.default_rng(3)))
