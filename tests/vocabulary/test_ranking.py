"""Ranking, beside computing all cosines and sorting."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unprompt.prediction import Vector
from unprompt.vocabulary import ranking
from unprompt.vocabulary.ranking import Ranked, rank
from unprompt.vocabulary.tables import TermTable

Bits = list[list[tuple[int, int, str]]]


def brute(tables: Sequence[TermTable], images: Vector, k: int, lowest: bool) -> list[list[Ranked]]:
    """Every cosine by itself, and all of them sorted."""
    seen: set[str] = set()
    places = []
    for number, table in enumerate(tables):
        places += [(number, term) for term, text in enumerate(table.texts) if text not in seen]
        seen.update(table.texts)
    found = []
    for image in images:
        scored = []
        for number, term in places:
            table = tables[number]
            cosine = float((table.vectors[term].astype(np.float64) * image.astype(np.float64)).sum())
            weight = 1.0 if table.weights is None else float(table.weights[term])
            score = cosine * weight if cosine > 0 else cosine / weight
            scored.append((cosine if lowest else -score, Ranked(number, term, cosine)))
        found.append([ranked for _, ranked in sorted(scored)[:k]])
    return found


def bits(found: list[list[Ranked]]) -> Bits:
    return [[(each.table, each.term, each.similarity.hex()) for each in ranked] for ranked in found]


def unit(rng: np.random.Generator, count: int, size: int) -> Vector:
    raw = rng.standard_normal((count, size)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def table(vectors: Vector, name: str = "terms") -> TermTable:
    return TermTable(tuple(f"{name} {number}" for number in range(len(vectors))), name, vectors.astype(np.float16))


def tables_of(rng: np.random.Generator, lengths: Sequence[int], size: int, weighted: bool) -> list[TermTable]:
    """Tables with texts and vectors in common, and with equal vectors under different texts."""
    directions = unit(rng, max(1, sum(lengths) // 2), size)
    made = []
    for number, length in enumerate(lengths):
        texts = tuple(f"term {place}" for place in rng.permutation(max(1, sum(lengths)))[:length])
        vectors = directions[rng.integers(len(directions), size=length)].astype(np.float16)
        weights = rng.choice([0.25, 1, 1, 1.2, 3], length).astype(np.float32) if weighted and number % 2 == 0 else None
        made.append(TermTable(texts, f"list {number}", vectors, weights))
    return made


@given(
    seed=st.integers(0, 2**32),
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    size=st.integers(1, 40),
    pictures=st.integers(0, 5),
    k=st.integers(0, 90),
    block=st.integers(1, 9),
    spare=st.integers(0, 5),
    weighted=st.booleans(),
    lowest=st.booleans(),
)
@example(0, [40, 40], 3, 5, 7, 5, 0, True, False)
@example(1, [40, 40], 3, 5, 7, 5, 0, True, True)
def test_the_answer_is_that_of_all_cosines_sorted(
    seed: int,
    lengths: list[int],
    size: int,
    pictures: int,
    k: int,
    block: int,
    spare: int,
    weighted: bool,
    lowest: bool,
) -> None:
    rng = np.random.default_rng(seed)
    tables = tables_of(rng, lengths, size, weighted)
    images = unit(rng, pictures, size)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in [("_BLOCK", block), ("_SPARE", spare), ("_TOGETHER", 2), ("_WIDENED", 2), ("_EXACT", 3)]:
            patch.setattr(ranking, name, value)
        found = rank(tables, images, k, lowest=lowest)
    assert bits(found) == bits(brute(tables, images, k, lowest))


@pytest.mark.parametrize("lowest", [False, True])
@pytest.mark.parametrize("size", [384, 512, 1001])
def test_cosines_that_float32_cannot_tell_apart_are_ranked_exactly(size: int, lowest: bool) -> None:
    rng = np.random.default_rng(size)
    base = unit(rng, 1, size)
    near = (base + 2e-7 * rng.standard_normal((3000, size))).astype(np.float32)
    some = table(near)
    images = np.concatenate([base, unit(rng, 3, size)])
    assert len(np.unique(some.vectors.astype(np.float32) @ images[0])) < 1000  # float32 alone takes many for equal
    assert bits(rank([some], images, 500, lowest=lowest)) == bits(brute([some], images, 500, lowest))


def test_a_picture_alone_is_answered_as_among_many() -> None:
    rng = np.random.default_rng(2)
    tables = [table(unit(rng, 5000, 384), "a"), table(unit(rng, 3001, 384), "b")]
    images = unit(rng, 64, 384)
    together = bits(rank(tables, images, 300))
    assert together == bits([rank(tables, image[None], 300)[0] for image in images])
    assert together[::-1] == bits(rank(tables, images[::-1], 300))
    assert together[5:70] == bits(rank(tables, np.concatenate([images, images]), 300))[5:64]


@pytest.mark.parametrize("block", [1, 333, 2048, 100_000])
def test_the_size_of_blocks_does_not_matter(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    rng = np.random.default_rng(3)
    some, images = table(unit(rng, 1500, 96)), unit(rng, 7, 96)
    expected = bits(rank([some], images, 40))
    monkeypatch.setattr(ranking, "_BLOCK", block)
    assert bits(rank([some], images, 40)) == expected


def test_a_text_of_two_tables_counts_with_the_weight_of_the_first() -> None:
    vectors = np.eye(2, dtype=np.float16)
    first = TermTable(("cat", "dog"), "first", vectors, np.array([0.5, 1], np.float32))
    second = TermTable(("cat", "fox"), "second", vectors, np.array([9, 1], np.float32))
    image = np.array([[0.8, 0.6]], np.float32)
    expected = [(0, 1), (1, 1), (0, 0)]  # 0.6, 0.6 and 0.4; the cat of the second table would have 7.2
    assert [(each.table, each.term) for each in rank([first, second], image, 4)[0]] == expected
    assert rank([first, second], image, 4)[0][2].similarity == pytest.approx(0.8)


def test_weights_count_for_the_best_and_not_for_the_worst() -> None:
    some = TermTable(("a", "b"), "x", np.array([[0.6], [0.8]], np.float16), np.array([2, 1], np.float32))
    image = np.ones((1, 1), np.float32)
    assert [each.term for each in rank([some], image, 2)[0]] == [0, 1]
    assert [each.term for each in rank([some], image, 2, lowest=True)[0]] == [0, 1]
    assert rank([some], -image, 1, lowest=True)[0] == [Ranked(0, 1, -float(np.float16(0.8)))]


def test_nothing_to_rank() -> None:
    image = np.ones((2, 3), np.float32)
    assert rank([], image, 5) == [[], []]
    assert rank([table(np.empty((0, 3), np.float32))], image, 5) == [[], []]
    assert rank([table(np.ones((4, 3), np.float32))], image[:0], 5) == []


@pytest.mark.parametrize("kind", ["different", "alike", "ever better"])
def test_memory_stays_within_what_is_said(kind: str) -> None:
    rng = np.random.default_rng(4)
    count, size, pictures, k = 120_000, 8, 64, 50
    vectors = unit(rng, count, size)
    if kind == "alike":
        vectors[:] = vectors[0]
    images = unit(rng, pictures, size)
    if kind == "ever better":  # every block drives out what the one before it gave
        images[:] = images[0]
        vectors = vectors[np.argsort(vectors @ images[0])]
    tables = [table(part, name) for part, name in zip(np.split(vectors, 2), "ab", strict=True)]
    said = 2048 * (4 * size + 384) + 100 * pictures * (k + 1024) + 24 * count
    hashes = sum(each.hashes.nbytes for each in tables)  # made before it is measured, so that nothing is hidden by them
    tracemalloc.start()
    try:
        found = rank(tables, images, k)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert hashes + peak < said
    assert bits(found[:1]) == bits(rank(tables, images[:1], k))
    if kind == "alike":
        assert [each.term for each in found[9]] == list(range(k))


def test_every_finite_number_is_widened_to_itself() -> None:
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    half = numbers[np.isfinite(numbers)].reshape(-1, 2)
    wide = np.empty(half.shape, np.float32)
    ranking._widen(half, wide)
    assert wide.tobytes() == half.astype(np.float32).tobytes()


@pytest.mark.torch
def test_a_processor_that_was_told_to_drop_the_smallest_numbers() -> None:
    torch = pytest.importorskip("torch")
    half = np.array([[6e-8, -3e-5, 0.5]], np.float16)
    wide = np.empty(half.shape, np.float32)
    if not torch.set_flush_denormal(True):
        pytest.skip("torch cannot tell this processor to")
    try:
        ranking._widen(half, wide)
    finally:
        torch.set_flush_denormal(False)
    assert wide.tobytes() == half.astype(np.float32).tobytes()
