"""Codebooks of many texts: what their vectors gather around."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from unprompt.answer.codebook import VECTORS, Codebook
from unprompt.cli.progress import Steps
from unprompt.datasets.vectors import VectorStore
from unprompt.errors import DataError, ModelError, OutputBusyError
from unprompt.models.store.folder import CARD, ModelFolder, replacing, write_config
from unprompt.text.sentence import SentenceEncoder
from unprompt.training import codebook as building
from unprompt.training.codebook import ROUNDS, _nearest, apart, build_codebook, condense

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


def test_each_round_is_heard(clusters: Vectors) -> None:
    heard: list[int] = []
    condense(clusters, 4, advance=heard.append)
    assert heard == [1] * ROUNDS


def test_copies_of_one_vector_leave_some_of_the_codebook_where_it_was(directions: Vectors) -> None:
    copies = np.repeat(directions[:2], 5, axis=0)
    found = condense(copies, 6)
    assert found.shape == (6, 384)
    assert np.allclose((found @ directions[:2].T).max(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [0, 101])
def test_a_codebook_is_smaller_than_what_it_stands_for(clusters: Vectors, size: int) -> None:
    with pytest.raises(DataError, match=f"found {size} vectors for 100 texts; give more texts"):
        condense(clusters, size)


def test_vectors_that_are_similar_to_others_are_left_out(clusters: Vectors, directions: Vectors) -> None:
    near_the_first = (clusters @ directions[0]) >= 0.7
    kept = apart(clusters, directions[:1])
    assert 0 < len(kept) < len(clusters)
    assert np.array_equal(kept, clusters[~near_the_first])
    assert apart(clusters, directions).shape == (0, 384)


def test_blocks_give_what_one_product_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = _unit(np.random.default_rng(5).standard_normal((300, 384)) + 1.3)
    whole = condense(vectors, 60), apart(vectors, vectors[:150] * 0.999), _nearest(vectors, vectors[::-1])
    monkeypatch.setattr(building, "_TOGETHER", 7)
    blocks = condense(vectors, 60), apart(vectors, vectors[:150] * 0.999), _nearest(vectors, vectors[::-1])
    assert whole[2].tolist() == blocks[2].tolist() == list(range(299, -1, -1))
    assert 0 < len(whole[1]) < 150
    assert whole[1].tolist() == blocks[1].tolist()
    assert np.allclose(whole[0], blocks[0], atol=1e-5)


def test_many_others_or_centres_take_no_more_memory_than_a_block_of_them() -> None:
    many = _unit(np.random.default_rng(6).standard_normal((20_000, 384)))
    block = 512 * 4096 * 4
    for compute in (apart, _nearest):
        assert _peak(lambda compute=compute: compute(many[:512], many)) < 1.5 * block


def test_what_is_kept_is_copied_once() -> None:
    many = _unit(np.random.default_rng(7).standard_normal((20_000, 384)))
    assert _peak(lambda: apart(many, many[:1])) < 1.1 * many.nbytes


def _peak(compute: Callable[[], object]) -> int:
    """The most bytes that arrays took beside those that were there before."""
    tracemalloc.start()
    try:
        compute()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    with VectorStore(tmp_path_factory.mktemp("vectors"), 1) as store:
        yield store


def _built(
    texts: Path, folder: Path, store: VectorStore, *, size: int = 12, apart_from: str | None = None
) -> ModelFolder:
    return build_codebook(
        [texts], folder, store, size=size, apart_from=apart_from, licence="MIT", step=Steps(quiet=True)
    )


def test_a_folder_holds_the_vectors_and_says_what_they_are_of(texts: Path, store: VectorStore, tmp_path: Path) -> None:
    built = _built(texts / "train.txt", tmp_path / "book.tiny", store)
    assert built.name == "book.tiny"
    expected = {"architecture": "codebook", "licence": "MIT", "size": 12, "prompts": 48}
    assert {key: built.config[key] for key in expected} == expected
    assert built.config["origin"] == "built by unprompt codebook build from train.txt"
    assert [check.state for check in built.verify()] == ["ok"]
    assert sorted(path.name for path in built.path.iterdir()) == [VECTORS, "config.json"]
    prompts = (texts / "train.txt").read_text().splitlines()
    cosines = SentenceEncoder.embedded(1).encode(prompts) @ Codebook.read(built).vectors.T
    assert cosines.shape == (48, 12)
    assert cosines.max(axis=1).min() > 0.75  # each text has one that stands for it


def test_as_many_vectors_as_texts_are_these(store: VectorStore, tmp_path: Path) -> None:
    others = ["a steam train in the snow", "quantum computing lecture notes", "three bananas on a table", "the pope"]
    (tmp_path / "texts.txt").write_text("\n".join(others))
    built = _built(tmp_path / "texts.txt", tmp_path / "book.tiny", store, size=4)
    true = SentenceEncoder.embedded(1).encode(others)
    assert (true @ Codebook.read(built).vectors.T).max(axis=1).min() > 0.999


def test_texts_that_are_similar_to_what_is_measured_on_are_left_out(
    pairs: Path, store: VectorStore, tmp_path: Path
) -> None:
    records = [json.loads(line) for line in (pairs / "val.jsonl").read_text().splitlines()]
    others = ["a steam train in the snow", "quantum computing lecture notes", "three bananas on a table", "the pope"]
    (tmp_path / "texts.txt").write_text("\n".join([*(record["prompt"] for record in records), *others]))
    for name in (str(pairs / "val.jsonl"), str(tmp_path / "held-out.txt")):
        (tmp_path / "held-out.txt").write_text("\n".join(record["prompt"] for record in records))
        built = _built(tmp_path / "texts.txt", tmp_path / "book.tiny", store, size=4, apart_from=name)
        assert built.config["prompts"] == 4
        true = SentenceEncoder.embedded(1).encode(others)
        assert (true @ Codebook.read(built).vectors.T).max(axis=1).min() > 0.999


def test_where_texts_are_left_but_too_few_a_smaller_size_would_do(store: VectorStore, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("three bananas on a table\nthe pope\nquantum computing lecture notes")
    (tmp_path / "held-out.txt").write_text("the pope")
    held_out = str(tmp_path / "held-out.txt")
    with pytest.raises(DataError, match=r"of 3 texts 1 are similar to .*, and 2 are left; give .*, or a smaller size"):
        _built(tmp_path / "texts.txt", tmp_path / "book.tiny", store, size=3, apart_from=held_out)
    assert not (tmp_path / "book.tiny").exists()


def test_captions_are_texts_too(pairs: Path, store: VectorStore, tmp_path: Path) -> None:
    built = _built(pairs / "train.jsonl", tmp_path / "book.tiny", store, size=5)
    texts = set()
    for line in (pairs / "train.jsonl").read_text().splitlines():
        record = json.loads(line)
        texts |= {record["prompt"], *record.get("captions", ())}
    assert built.config["prompts"] == len(texts)


def test_vectors_that_are_kept_give_the_same_codebook(texts: Path, store: VectorStore, tmp_path: Path) -> None:
    first = _built(texts / "train.txt", tmp_path / "first.tiny", store)
    with VectorStore(tmp_path / "anew", 2) as anew:
        second = _built(texts / "train.txt", tmp_path / "second.tiny", anew)
    assert np.abs(Codebook.read(first).vectors - Codebook.read(second).vectors).max() < 0.002


def test_the_card_stays_and_other_files_are_not_touched(texts: Path, store: VectorStore, tmp_path: Path) -> None:
    folder = tmp_path / "book.tiny"
    _built(texts / "train.txt", folder, store)
    (folder / CARD).write_text("# mine\n")
    _built(texts / "train.txt", folder, store, size=5)
    assert (folder / CARD).read_text() == "# mine\n"
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"found notes\.txt"):
        _built(texts / "train.txt", folder, store)


def test_another_model_is_not_replaced(texts: Path, store: VectorStore, tmp_path: Path) -> None:
    other = tmp_path / "words.tiny"
    other.mkdir()
    (other / "weights").write_text("dear")
    config = {"name": "words.tiny", "architecture": "linear", "licence": "MIT", "origin": "a test"}
    write_config(other, config, ["weights"])
    with pytest.raises(ModelError, match=r"expected an empty folder or a codebook at .*, found a .* 'linear'; choose"):
        _built(texts / "train.txt", other, store)
    assert (other / "weights").read_text() == "dear"


def test_a_second_writer_ends_before_the_work(texts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "book.tiny"
    with VectorStore(tmp_path / "empty", 1) as empty:
        with replacing(folder), pytest.raises(OutputBusyError, match=r"another unprompt is writing .*book\.tiny"):
            _built(texts / "train.txt", folder, empty)
        assert len(empty.vectors) == 0


def test_too_few_texts_leave_nothing_behind(texts: Path, store: VectorStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found 100 vectors for 48"):
        _built(texts / "train.txt", tmp_path / "book.tiny", store, size=100)
    with pytest.raises(DataError, match=r"of 48 texts 48 are similar to .* and 0 are left; give texts .* these$"):
        _built(texts / "train.txt", tmp_path / "book.tiny", store, size=1, apart_from=str(texts / "train.txt"))
    assert not (tmp_path / "book.tiny").exists()
