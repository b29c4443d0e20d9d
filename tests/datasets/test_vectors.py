"""Vectors on disk: those of the encoder, once each, whatever happened before."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from unprompt.datasets import vectors
from unprompt.datasets.vectors import KEYS, VECTORS, VectorStore, default_cache
from unprompt.errors import DataError
from unprompt.text.fingerprints import fingerprint
from unprompt.text.sentence import SentenceEncoder

PROMPTS = ["a cat", "a dog in a boat, oil on canvas", "", "a cat", "moon " * 300, "lone \ud800 surrogate", "猫"]


def keys(*prompts: str) -> np.ndarray:
    return np.array([fingerprint(prompt) for prompt in prompts], np.uint64)


def encoded_by(store: VectorStore, *prompts: str) -> int:
    counts: list[int] = []
    store.keep(prompts, counts.append)
    return sum(counts)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VectorStore]:
    with VectorStore(tmp_path, threads=2) as opened:
        yield opened


def test_the_vectors_are_the_encoders(store: VectorStore) -> None:
    assert encoded_by(store, *PROMPTS) == len(PROMPTS) - 1
    rows = store.rows(keys(*PROMPTS))
    assert sorted(set(rows.tolist())) == list(range(len(PROMPTS) - 1))
    expected = SentenceEncoder.embedded(1).encode(PROMPTS)
    assert np.abs(store.vectors[rows] - expected).max() < 2e-4


def test_nothing_is_encoded_twice(tmp_path: Path) -> None:
    with VectorStore(tmp_path) as store:
        assert encoded_by(store, "a cat", "a dog") == 2
        assert encoded_by(store, "a dog", "a fox", "a cat") == 1
        before = store.vectors[store.rows(keys("a fox", "a cat"))].copy()
    with VectorStore(tmp_path) as store:
        assert encoded_by(store, "a cat", "a fox") == 0
        assert (store.vectors[store.rows(keys("a fox", "a cat"))] == before).all()


def test_what_is_not_kept_has_no_row(store: VectorStore) -> None:
    assert store.rows(keys("a cat")).tolist() == [-1]
    assert store.vectors.shape == (0, 384)
    store.keep(["a cat"])
    assert store.rows(keys("a dog", "a cat", "")).tolist() == [-1, 0, -1]


@pytest.mark.parametrize(("name", "left"), [(VECTORS, 3 * 768 - 5), (KEYS, 2 * 8 + 3), (KEYS, 0)])
def test_a_write_that_was_cut_off_is_done_again(tmp_path: Path, name: str, left: int) -> None:
    prompts = ["a cat", "a dog", "a fox"]
    with VectorStore(tmp_path) as store:
        store.keep(prompts)
        vectors = store.vectors[store.rows(keys(*prompts))].copy()
        path = store.folder / name
    path.write_bytes(path.read_bytes()[:left])
    with VectorStore(tmp_path) as store:
        assert encoded_by(store, *prompts) == (3 if left == 0 else 1)
        # In another batch the last bit may differ.
        assert np.abs(store.vectors[store.rows(keys(*prompts))] - vectors).max() < 2e-4
    assert (store.folder / VECTORS).stat().st_size == 3 * 768
    assert (store.folder / KEYS).stat().st_size == 3 * 8


def test_two_cannot_write_at_once(store: VectorStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another unprompt is writing vectors"):
        VectorStore(tmp_path)


def test_a_cache_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        VectorStore(tmp_path / "file" / "cache")


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/unprompt/vectors")


def test_long_prompts_are_taken_a_few_at_a_time(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_CHARACTERS_TOGETHER", 2_500)
    taken: list[str] = []

    def prompts() -> Iterator[str]:
        for number in range(7):
            taken.append(f"{number} " + "moon " * 200)
            yield taken[-1]

    held: list[int] = []
    store.keep(prompts(), lambda done: held.append(len(taken)))
    assert held == [3, 6, 7]
