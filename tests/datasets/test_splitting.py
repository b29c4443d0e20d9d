"""Groups of similar prompts, and which of them are for validation."""

import numpy as np
import pytest
from vector_clusters import by_brute_force, clustered

from unprompt.datasets import near_pairs
from unprompt.datasets.near_pairs import NearPairs
from unprompt.datasets.splitting import choose_validation, find_groups
from unprompt.errors import DataError


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_pairs, "BLOCK", 32)
    monkeypatch.setattr(near_pairs, "TILE", 96)


@pytest.mark.parametrize("threshold", [0.6, 0.75, 0.9])
def test_groups_are_the_connected_components(threshold: float) -> None:
    vectors = clustered(400, seed=2, spread=0.4)
    groups = find_groups(NearPairs(vectors, np.arange(400), threshold)).tolist()
    neighbours: dict[int, set[int]] = {}
    for i, j in by_brute_force(vectors, threshold):
        neighbours.setdefault(i, set()).add(j)
        neighbours.setdefault(j, set()).add(i)
    expected: dict[int, int] = {}
    for start in range(400):
        if start not in expected:
            group, waiting = len(set(expected.values())), [start]
            while waiting:
                if (index := waiting.pop()) not in expected:
                    expected[index] = group
                    waiting += neighbours.get(index, ())
    assert groups == [expected[index] for index in range(400)]
    assert 1 < max(groups) < 399


def test_a_chain_is_one_group() -> None:
    angles = np.radians(np.random.default_rng(0).permutation(180))
    vectors = np.zeros((180, 384), np.float16)
    vectors[:, 0], vectors[:, 383] = np.cos(angles), np.sin(angles)
    assert set(find_groups(NearPairs(vectors, np.arange(180), 0.999)).tolist()) == {0}


@pytest.mark.parametrize("seed", range(5))
def test_the_share_is_met_where_groups_are_small(seed: int) -> None:
    sizes = np.random.default_rng(7).integers(1, 9, size=500)
    chosen = choose_validation(sizes, 0.1, seed)
    assert abs(int(sizes[chosen].sum()) - 0.1 * sizes.sum()) <= 0.5


def test_the_seed_decides() -> None:
    sizes = np.ones(100, np.int64)
    parts = [choose_validation(sizes, 0.3, seed).tolist() for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]


@pytest.mark.parametrize(
    ("sizes", "share", "for_validation"),
    [
        ([980, *[1] * 20], 0.1, 20),  # a giant group is trained on, and the part is smaller
        ([50, 30, 20], 0.1, 20),  # none fits: the smallest
        ([50, 50], 0.9, 50),  # the last one stays for training
        ([10, 10], 0.5, 10),
        ([90, 9, 1], 0.08, 10),  # nearer than 1 alone
    ],
)
def test_where_groups_are_large(sizes: list[int], share: float, for_validation: int) -> None:
    for seed in range(5):
        chosen = choose_validation(np.array(sizes), share, seed)
        assert int(np.array(sizes)[chosen].sum()) == for_validation
        assert not chosen.all()


@pytest.mark.parametrize("share", [-1.0, 0.0, 1.0, 2.0, float("nan")])
def test_a_share_that_leaves_a_part_empty(share: float) -> None:
    with pytest.raises(DataError, match="expected a share above 0 and below 1"):
        choose_validation(np.array([1, 2, 3]), share, 0)


@pytest.mark.parametrize("sizes", [[], [7]])
def test_one_group_cannot_be_split(sizes: list[int]) -> None:
    with pytest.raises(DataError, match="raise --group"):
        choose_validation(np.array(sizes, np.int64), 0.1, 0)
