"""Which prompts are dropped, and for which."""

import numpy as np
import numpy.typing as npt
import pytest
from vector_clusters import by_brute_force, clustered

from unprompt.datasets import near_pairs
from unprompt.datasets.deduplication import find_originals
from unprompt.datasets.near_pairs import NearPairs, Pairs


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_pairs, "BLOCK", 32)
    monkeypatch.setattr(near_pairs, "TILE", 96)


def on_a_circle(*degrees: float) -> npt.NDArray[np.float16]:
    """Vectors whose cosines are those of the angles between them."""
    vectors = np.zeros((len(degrees), 384), np.float16)
    vectors[:, 5], vectors[:, 200] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vectors


def originals(vectors: npt.NDArray[np.float16], threshold: float) -> list[int]:
    return find_originals(NearPairs(vectors, np.arange(len(vectors)), threshold)).tolist()


def test_what_is_near_a_dropped_one_alone_is_kept() -> None:
    # 40 degrees have a cosine of 0.77.
    assert originals(on_a_circle(0, 30, 60, 90, 61), 0.75) == [-1, 0, -1, 2, 2]


def test_the_earliest_kept_one_is_the_original() -> None:
    assert originals(on_a_circle(0, 60, 35, 30), 0.75) == [-1, -1, 0, 0]


@pytest.mark.parametrize("threshold", [0.6, 0.85])
def test_as_by_brute_force(threshold: float) -> None:
    vectors = clustered(600, seed=3, spread=0.35)
    pairs = by_brute_force(vectors, threshold)
    expected = [-1] * 600
    for second in range(600):
        near = [first for first in range(second) if (first, second) in pairs and expected[first] < 0]
        expected[second] = near[0] if near else -1
    assert originals(vectors, threshold) == expected
    assert 50 < expected.count(-1) < 550


def test_reporting_all_pairs_changes_no_decision() -> None:
    vectors = clustered(600, seed=3, spread=0.35)
    reported: list[Pairs] = []
    advanced: list[int] = []
    search = NearPairs(vectors, np.arange(600), 0.7)
    assert find_originals(search, reported.append, advanced.append).tolist() == originals(vectors, 0.7)
    assert sum(advanced) == 600 * 599 // 2
    pairs = [pair for some in reported for pair in zip(some.first.tolist(), some.second.tolist(), strict=True)]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == by_brute_force(vectors, 0.7)
