"""Indexes of banks: made by faiss, searched without it; cosines are exact, and damage shows."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexed import bank_of
from vector_clusters import clustered

from unprompt.bank.bank import Bank, Nearest
from unprompt.bank.index import Index, has_index, verify_index
from unprompt.bank.indexing import build_index, list_count
from unprompt.errors import DataError, MissingExtraError
from unprompt.prediction import Vector
from unprompt.progress import SILENT

faiss: Any = pytest.importorskip("faiss", reason="indexes are made by faiss, of the extra [index]")

PROMPTS = 6000
VECTORS = clustered(PROMPTS + 20, spread=0.3).astype(np.float32)
IMAGES = VECTORS[PROMPTS:]
"""Of the clusters that the prompts are of."""


def built(bank: Bank, threads: int = 1) -> Index:
    return build_index(bank, SILENT, threads)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A bank with an index; not to be changed."""
    bank = bank_of(VECTORS[:PROMPTS], tmp_path_factory.mktemp("banks") / "large")
    built(bank)
    return bank


@pytest.fixture
def index(bank: Bank) -> Index:
    return Index.open(bank)


@pytest.fixture
def copy(bank: Bank, tmp_path: Path) -> Bank:
    """A bank with an index that may be changed."""
    shutil.copytree(bank.folder, tmp_path / "copy")
    return Bank.open(tmp_path / "copy")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def same(one: Nearest, other: Nearest) -> bool:
    return one.rows.tolist() == other.rows.tolist() and one.similarities.tolist() == other.similarities.tolist()


@pytest.mark.parametrize("count", [1, 10, 100])
def test_most_of_the_nearest_are_found_with_their_exact_cosines(bank: Bank, index: Index, count: int) -> None:
    recalls = []
    for exact, found in zip(bank.nearest(IMAGES, count), index.nearest(IMAGES, count), strict=True):
        cosines = dict(zip(exact.rows.tolist(), exact.similarities.tolist(), strict=True))
        both = zip(found.rows.tolist(), found.similarities.tolist(), strict=True)
        assert len(found.rows) == len(set(found.rows.tolist())) == count
        assert (np.diff(found.similarities) <= 0).all()
        assert all(cosines[row] == near for row, near in both if row in cosines)
        recalls.append(len(cosines.keys() & set(found.rows.tolist())) / count)
    assert np.mean(recalls) > 0.9


def test_a_part_of_the_lists_is_looked_at(bank: Bank, index: Index) -> None:
    looked_at = [len(index._estimates(image, index._lists(image, 10))[0]) for image in IMAGES]
    assert max(looked_at) < PROMPTS / 3
    assert index.config.lists == list_count(PROMPTS) == 128


@pytest.mark.parametrize("count", [PROMPTS // 2, PROMPTS, PROMPTS + 1])
def test_however_many_are_asked_for_they_are_found(bank: Bank, index: Index, count: int) -> None:
    for exact, found in zip(bank.nearest(IMAGES[:3], count), index.nearest(IMAGES[:3], count), strict=True):
        assert same(exact, found)


def test_a_picture_alone_is_answered_as_among_many(index: Index) -> None:
    for image, found in zip(IMAGES, index.nearest(IMAGES, 20), strict=True):
        assert same(index.nearest(image[None], 20)[0], found)
    assert index.nearest(IMAGES[:0], 20) == []


def test_the_search_finds_what_that_of_faiss_finds(bank: Bank, index: Index) -> None:
    quantiser = faiss.IndexFlatIP(384)
    quantiser.add(index._centres.astype(np.float32))
    theirs = faiss.IndexIVFScalarQuantizer(
        quantiser, 384, index.config.lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    vectors = bank.compared.astype(np.float32)
    theirs.train(vectors)  # quantised a little otherwise: of all vectors and not of a sample
    theirs.add(vectors)
    theirs.nprobe = index.config.lists // 8
    for image, found in zip(IMAGES, index.nearest(IMAGES, 10), strict=True):
        rows = np.sort(theirs.search(image[None], 120)[1][0])
        assert same(bank.nearest_among(rows, image, 10), found)


@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_the_same_whenever_it_is_made(bank: Bank, copy: Bank, threads: int) -> None:
    built(copy, threads)
    assert files_of(copy.folder / "index") == files_of(bank.folder / "index")
    assert sorted(path.name for path in copy.folder.iterdir()) == sorted(path.name for path in bank.folder.iterdir())


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_small_banks_have_small_indexes(tmp_path: Path, count: int) -> None:
    bank = bank_of(VECTORS[:count], tmp_path / "small")
    index = built(bank)
    for exact, found in zip(bank.nearest(IMAGES, count), index.nearest(IMAGES, count), strict=True):
        assert same(exact, found)


def test_equal_vectors(tmp_path: Path) -> None:
    bank = bank_of(np.repeat(VECTORS[:1], 300, axis=0), tmp_path / "equal")
    ((rows, _),) = built(bank).nearest(IMAGES[:1], 5)
    assert len(set(rows.tolist())) == 5


def test_a_whole_index_is_verified(bank: Bank, index: Index) -> None:
    read: list[int] = []
    verify_index(bank, read.append)
    assert sum(read) == sum(file.size for file in index.config.files.values())


@pytest.mark.parametrize("name", ["centres.f16", "steps.f32", "ends.u64", "rows.u64", "codes.u8"])
def test_an_index_that_is_damaged_or_cut_short(copy: Bank, name: str) -> None:
    path = copy.folder / "index" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"is damaged: .*; search it without --approximate"):
        verify_index(copy)
    path.write_bytes(data[:-8])
    with pytest.raises(DataError, match=rf"expected [\d,]+ bytes in {name}, found [\d,]+; search it without"):
        Index.open(copy)
    path.unlink()
    with pytest.raises(DataError, match=f"{name} cannot be read: No such file"):
        Index.open(copy)


def changed(of: Bank, **values: Any) -> None:
    path = of.folder / "index" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda bank: (bank.folder / "index" / "config.json").write_text("{"), "its config.json"),
        (lambda bank: (bank.folder / "index" / "config.json").write_text("[" * 60_000), "its config.json"),
        (lambda bank: (bank.folder / "index" / "config.json").write_text("[]"), "its config.json"),
        (lambda bank: changed(bank, layout="unprompt bank index 9"), "expected the layout"),
        (lambda bank: changed(bank, lists=0), "expected lists to be a whole number of 1 or more, found 0"),
        (lambda bank: changed(bank, lists=True), "expected lists to be a whole number of 1 or more, found True"),
        (lambda bank: changed(bank, lists=10**15), "contradicts itself"),
        (lambda bank: changed(bank, lists=64), "contradicts itself"),
        (lambda bank: changed(bank, prompts=10**15), "contradicts itself"),
        (lambda bank: changed(bank, prompts=10**30), "expected prompts to be a whole number of 1 or more"),
        (lambda bank: changed(bank, size=383), "contradicts itself"),
        (lambda bank: changed(bank, files={"../../etc/passwd": {"size": 1, "sha256": "0" * 64}}), "contradicts itself"),
        (lambda bank: changed(bank, files=3), "its config.json"),
        (lambda bank: changed(bank, bank="0123456789ab"), "is of another bank, or of an earlier state of this one"),
        (
            lambda bank: (bank.folder / "index" / "config.json").unlink(),
            "has 6,000 prompts, and an index pays from 50,000",
        ),
    ],
)
def test_a_config_that_does_not_hold(copy: Bank, change: Callable[[Bank], None], message: str) -> None:
    change(copy)
    with pytest.raises(DataError, match=message):
        Index.open(copy)


def test_an_index_of_another_bank(bank: Bank, tmp_path: Path) -> None:
    other = bank_of(VECTORS[20:], tmp_path / "other")
    with pytest.raises(DataError, match="has 6,000 prompts, and an index pays from 50,000"):
        Index.open(other)
    shutil.copytree(bank.folder / "index", other.folder / "index")
    with pytest.raises(DataError, match=r"is of another bank, .*; search it without --approximate"):
        Index.open(other)
    assert built(other).config.bank != Index.open(bank).config.bank


def rewrite(bank: Bank, name: str, dtype: str, change: Callable[[Any], None]) -> None:
    values = np.fromfile(bank.folder / "index" / name, dtype)
    change(values)
    values.tofile(bank.folder / "index" / name)


@pytest.mark.parametrize("value", [PROMPTS, 2**63, 2**64 - 1, 7])
def test_rows_that_lie_are_no_danger(copy: Bank, value: int) -> None:
    rewrite(copy, "rows.u64", "<u8", lambda rows: rows.fill(value))
    with pytest.raises(DataError, match=r"rows\.u64 names prompts that do not exist"):
        Index.open(copy).nearest(IMAGES, 10)


@pytest.mark.parametrize(("place", "value"), [(5, 2**63), (5, 0), (5, PROMPTS + 1), (-1, PROMPTS + 1), (-1, 3)])
def test_lists_that_lie_are_no_danger(copy: Bank, place: int, value: int) -> None:
    def change(ends: Any) -> None:
        ends[place] = value

    rewrite(copy, "ends.u64", "<u8", change)
    with pytest.raises(DataError, match=r"ends\.u64 does not hold the ends of lists"):
        Index.open(copy)


@pytest.mark.parametrize(("name", "dtype"), [("centres.f16", "<f2"), ("steps.f32", "<f4")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_no_danger(copy: Bank, name: str, dtype: str, value: float) -> None:
    rewrite(copy, name, dtype, lambda numbers: numbers.fill(value))
    with pytest.raises(DataError, match="some of its numbers are not finite"):
        Index.open(copy)


@pytest.mark.parametrize(
    ("name", "dtype", "value"), [("centres.f16", "<f2", 6e4), ("steps.f32", "<f4", 3e38), ("codes.u8", "u1", 255)]
)
def test_numbers_of_strangers_miss_prompts_and_no_more(copy: Bank, name: str, dtype: str, value: float) -> None:
    rewrite(copy, name, dtype, lambda numbers: numbers.fill(value))
    for image, (rows, similarities) in zip(IMAGES, Index.open(copy).nearest(IMAGES, 10), strict=True):
        assert np.allclose(similarities, copy.compared[rows].astype(np.float64) @ image, atol=1e-12)


def test_a_build_that_fails_leaves_the_index_that_was_there(copy: Bank) -> None:
    before = files_of(copy.folder / "index")
    vectors = np.fromfile(copy.folder / "sentences.f16", "<f2").reshape(-1, 384)
    vectors[PROMPTS // 2] = np.nan
    vectors.tofile(copy.folder / "sentences.f16")
    with pytest.raises(DataError, match="some of its vectors have no unit length"):
        built(Bank.open(copy.folder))
    assert files_of(copy.folder / "index") == before
    assert not (copy.folder / ".index.new").exists()


def test_what_a_kill_left_goes_first(copy: Bank) -> None:
    (copy.folder / "index").rename(copy.folder / ".index.new")
    (copy.folder / ".index.new" / "config.json").unlink()
    assert not has_index(copy.folder)
    verify_index(built(copy).bank)
    assert not (copy.folder / ".index.new").exists()


def test_without_faiss_an_index_is_searched_and_none_is_made(copy: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert len(Index.open(copy).nearest(IMAGES, 10)) == len(IMAGES)
    with pytest.raises(MissingExtraError, match=r"needs the extra \[index\]: pip install 'unprompt\[index\]'"):
        built(copy)


def test_its_identity_changes_with_its_content(bank: Bank, copy: Bank, index: Index) -> None:
    assert Index.open(copy).identity() == {"index of copy": index.identity()["index of large"]}
    config = json.loads((copy.folder / "index" / "config.json").read_text())
    config["files"]["codes.u8"]["sha256"] = "0" * 64
    changed(copy, files=config["files"])
    assert Index.open(copy).identity()["index of copy"] != index.identity()["index of large"]


def test_vectors_of_the_bank_that_are_damaged_are_no_answer(copy: Bank) -> None:
    vectors = np.fromfile(copy.folder / "sentences.f16", "<f2")
    vectors[:] = 0.5
    vectors.tofile(copy.folder / "sentences.f16")
    bank = Bank.open(copy.folder)
    with pytest.raises(DataError, match=r"the bank .* is damaged: some of its vectors have no unit length"):
        Index.open(bank).nearest(IMAGES, 10)


def test_it_is_as_exact_with_a_picture_of_no_cluster(bank: Bank, index: Index) -> None:
    image: Vector = -VECTORS[:1]
    ((rows, similarities),) = index.nearest(image, 10)
    assert np.allclose(similarities, bank.compared[rows].astype(np.float64) @ image[0], atol=1e-12)
