"""The search for near vectors against brute force."""

import numpy as np
import pytest
from vector_clusters import by_brute_force, clustered

from unprompt.datasets import near_pairs
from unprompt.datasets.near_pairs import NearPairs, exact_cosines
from unprompt.errors import DataError


def found(search: NearPairs) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for block in search.blocks():
        for some in (*search.earlier(block), *search.within(block)):
            pairs += zip(some.first.tolist(), some.second.tolist(), strict=True)
            assert (some.cosines >= search.threshold).all()
        search.remember(block)
    return pairs


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_pairs, "BLOCK", 32)
    monkeypatch.setattr(near_pairs, "TILE", 96)
    monkeypatch.setattr(near_pairs, "_EXACT_AT_A_TIME", 7)


@pytest.mark.parametrize("width", near_pairs._WIDTHS)
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.85, 0.99])
def test_all_pairs_and_no_others(threshold: float, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_pairs, "_WIDTHS", (width,))
    vectors = clustered(500, spread=0.05 if threshold == 0.99 else 0.6)
    pairs = found(NearPairs(vectors, np.arange(500), threshold, threads=3 if width == 96 else 1))
    assert len(pairs) == len(set(pairs)) > 100
    assert set(pairs) == by_brute_force(vectors, threshold)


def test_rows_say_which_vectors_and_in_which_order() -> None:
    vectors = clustered(300)
    rows = np.random.default_rng(1).permutation(300)[:200]
    assert set(found(NearPairs(vectors, rows, 0.7))) == by_brute_force(vectors[rows], 0.7)


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33])
def test_few_vectors(count: int) -> None:
    vectors = np.repeat(clustered(1), count, axis=0)
    pairs = found(NearPairs(vectors, np.arange(count), 1.0))
    assert len(pairs) == count * (count - 1) // 2


def test_equal_vectors_reach_one() -> None:
    vectors = clustered(200)
    assert (exact_cosines(vectors, vectors) == 1).all()
    assert (exact_cosines(vectors, -vectors) == -1).all()


def test_only_what_was_remembered_is_compared_with() -> None:
    vectors = clustered(300)
    search = NearPairs(vectors, np.arange(300), 0.7)
    even = np.arange(300) % 2 == 0
    pairs: set[tuple[int, int]] = set()
    for block in search.blocks():
        for some in search.earlier(block):
            pairs.update(zip(some.first.tolist(), some.second.tolist(), strict=True))
        search.remember(block, even[block])
    expected = {(i, j) for i, j in by_brute_force(vectors, 0.7) if even[i] and i // 32 < j // 32}
    assert pairs == expected != set()


def test_a_wish_leaves_pairs_out() -> None:
    vectors = clustered(300)
    search = NearPairs(vectors, np.arange(300), 0.7)
    block = slice(0, 32)
    pairs = [
        pair for some in search.within(block, lambda first, second: first % 2 == 0) for pair in some.first.tolist()
    ]
    assert sorted(pairs) == sorted(i for i, j in by_brute_force(vectors[:32], 0.7) if i % 2 == 0)


@pytest.mark.parametrize("damage", [0, np.nan, 1.1])
def test_damaged_vectors_are_refused(damage: float) -> None:
    vectors = clustered(100)
    vectors[57] *= np.float16(damage)
    with pytest.raises(DataError, match="unit length"):
        NearPairs(vectors, np.arange(100), 0.85)
