"""Banks in use: exact, and damage shows."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bank.conftest import clip_towers, prompts

from unprompt.bank.bank import Bank, verify
from unprompt.bank.layout import Makers
from unprompt.errors import DataError
from unprompt.prediction import Vector
from unprompt.text.sentence import SentenceEncoder
from unprompt.towers.embedded import EmbeddedPair
from unprompt.vocabulary.ranking import nearest


def unit(count: int, size: int = 384, seed: int = 0) -> Vector:
    raw = np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


@pytest.fixture
def copy(bank: Bank, tmp_path: Path) -> Path:
    """A bank that may be changed."""
    shutil.copytree(bank.folder, tmp_path / "copy")
    return tmp_path / "copy"


def changed(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_it_holds_each_prompt_with_its_vectors(bank: Bank) -> None:
    expected = prompts(300)
    assert len(bank) == 300
    assert bank.texts(range(300)) == expected
    assert bank.texts([299, 0, 7]) == [expected[299], expected[0], expected[7]]
    assert np.shares_memory(bank.compared, bank.sentences)
    assert np.allclose(bank.sentences, SentenceEncoder.embedded(1).encode(expected), atol=2e-3)


@pytest.mark.parametrize("count", [1, 10, 300, 1000])
def test_the_nearest_are_those_of_all_cosines_sorted(bank: Bank, count: int) -> None:
    images = unit(5)
    cosines = images.astype(np.float64) @ bank.compared.astype(np.float64).T
    for cosine, (rows, similarities) in zip(cosines, bank.nearest(images, count), strict=True):
        expected = np.lexsort((np.arange(300), -cosine))[:count]
        assert rows.tolist() == expected.tolist()
        assert np.allclose(similarities, cosine[expected], atol=1e-12)


def test_equal_vectors_come_by_row_whatever_the_size() -> None:
    vectors = np.tile(unit(3).astype(np.float16), (3000, 1))
    ((rows, similarities),) = nearest(vectors, unit(1, seed=5), 4000)
    cosines = unit(1, seed=5).astype(np.float64) @ vectors[:3].astype(np.float64).T
    best, second = np.argsort(-cosines[0])[:2]
    assert rows.tolist() == [*range(best, 9000, 3), *range(second, 9000, 3)][:4000]
    assert (np.diff(similarities) <= 0).all()


def test_a_picture_alone_is_answered_as_among_many(bank: Bank) -> None:
    images = unit(70)
    together = bank.nearest(images, 20)
    for image, (rows, similarities) in zip(images, together, strict=True):
        ((own_rows, own_similarities),) = bank.nearest(image[None], 20)
        assert rows.tolist() == own_rows.tolist()
        assert similarities.tolist() == own_similarities.tolist()
    assert bank.nearest(images[:0], 20) == []


def test_a_whole_bank_is_verified(bank: Bank) -> None:
    read: list[int] = []
    verify(bank.folder, read.append)
    assert sum(read) == sum(file.size for file in bank.config.files.values())


@pytest.mark.parametrize("name", ["prompts.txt", "ends.u64", "sentences.f16"])
def test_one_flipped_bit_is_found(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 4
    (copy / name).write_bytes(data)
    with pytest.raises(DataError, match=f"{name} has another sha256 than its config says; copy it again, or build"):
        verify(copy)


@pytest.mark.parametrize("name", ["prompts.txt", "ends.u64", "sentences.f16"])
def test_a_bank_that_was_cut_short(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:-8])
    with pytest.raises(DataError, match=rf"expected [\d,]+ bytes in {name}, found [\d,]+; copy it again, or build"):
        Bank.open(copy)
    (copy / name).unlink()
    with pytest.raises(DataError, match=f"{name} cannot be read: No such file"):
        Bank.open(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "its config.json"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "its config.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), "expected the layout"),
        (lambda folder: changed(folder, layout="unprompt bank 9"), "expected the layout"),
        (lambda folder: changed(folder, prompts=-1), "expected prompts to be a whole number of 0 or more"),
        (lambda folder: changed(folder, prompts="300"), "expected prompts to be a whole number of 0 or more"),
        (lambda folder: changed(folder, prompts=10**30), "expected prompts to be a whole number"),
        (lambda folder: changed(folder, prompts=10**15), "has another size than"),
        (lambda folder: changed(folder, prompts=299), "has another size than 299 prompts take"),
        (lambda folder: changed(folder, size=10**9), "expected size to be a whole number from 1 to 65,536"),
        (lambda folder: changed(folder, size=383), "expected size to be 384, found 383"),
        (lambda folder: changed(folder, identities=3), "its config.json"),
        (
            lambda folder: changed(folder, files={"../../etc/passwd": {"size": 1, "sha256": "0" * 64}}),
            "expected the files",
        ),
        (lambda folder: changed(folder, model="ViT-B-32.openai"), r"expected the files compared\.f16"),
        (lambda folder: (folder / "config.json").unlink(), "expected a bank with a config.json"),
    ],
)
def test_a_config_that_does_not_hold(copy: Path, change: Callable[[Path], None], message: str) -> None:
    change(copy)
    with pytest.raises(DataError, match=message):
        Bank.open(copy)


def test_a_bank_of_another_sentence_encoder(copy: Path) -> None:
    changed(copy, sentences="0123456789ab")
    with pytest.raises(DataError, match=r"another all-MiniLM-L6-v2.unprompt \(0123456789ab\) .* build it again"):
        Bank.open(copy)
    with pytest.raises(DataError, match="build it again"):
        verify(copy)


def test_a_bank_of_other_weights(copy: Path, towers: EmbeddedPair) -> None:
    Bank.open(copy).check_model(towers)
    changed(copy, identities={"all-MiniLM-L6-v2.unprompt": "0123456789ab"})
    with pytest.raises(DataError, match=r"was built with embedded \(0123456789ab\), and is searched with embedded \("):
        Bank.open(copy).check_model(towers)


def test_places_that_lie_are_no_danger(copy: Path) -> None:
    ends = np.fromfile(copy / "ends.u64", "<u8")
    ends[5], ends[8], ends[20] = 2**63, ends[7], ends[5]
    ends.tofile(copy / "ends.u64")
    bank = Bank.open(copy)
    for row in (5, 6, 8, 20):
        with pytest.raises(DataError, match=f"ends.u64 has no place for prompt {row}"):
            bank.texts([row])
    text = bytearray((copy / "prompts.txt").read_bytes())
    text[0] = 0xFF
    (copy / "prompts.txt").write_bytes(text)
    with pytest.raises(DataError, match="prompt 0 is not UTF-8"):
        Bank.open(copy).texts([0])


@pytest.mark.parametrize("number", [np.inf, np.nan, 60000.0])
def test_damaged_vectors_are_no_answer(copy: Path, number: float) -> None:
    vectors = np.fromfile(copy / "sentences.f16", "<f2").reshape(-1, 384)
    vectors[:, 7] = number
    vectors.tofile(copy / "sentences.f16")
    with pytest.raises(DataError, match="some of its vectors have no unit length"):
        Bank.open(copy).nearest(unit(2), 10)


@pytest.mark.torch
@pytest.mark.parametrize("factor", [np.nan, 0.0, 0.9, 1.1, 1000.0])
def test_damaged_vectors_are_no_answer_where_others_are_compared(
    clip_bank: Bank, tmp_path: Path, factor: float
) -> None:
    folder = shutil.copytree(clip_bank.folder, tmp_path / "copy")
    vectors = np.fromfile(folder / "sentences.f16", "<f2").reshape(-1, 384)
    vectors[7] *= np.float16(factor)
    vectors[8, 3] = np.inf
    vectors.tofile(folder / "sentences.f16")
    bank = Bank.open(folder)
    for row in (7, 8):
        with pytest.raises(DataError, match=r"some of its vectors have no unit length; copy it again, or build"):
            bank.sentence_vectors(np.array([3, row, 9]))
    assert (bank.sentence_vectors(np.array([3, 9])) == clip_bank.sentences[[3, 9]].astype(np.float64)).all()


def test_vectors_that_were_found_have_unit_length(copy: Path, bank: Bank) -> None:
    vectors = bank.sentences.copy()
    vectors[5] *= np.float16(0.9)
    vectors.tofile(copy / "sentences.f16")
    with pytest.raises(DataError, match="some of its vectors have no unit length"):
        Bank.open(copy).nearest(bank.sentences[5:6].astype(np.float32), 3)


@pytest.mark.torch
def test_a_bank_serves_in_either_precision(clip_bank: Bank, clip_weights: Path) -> None:
    halved = clip_towers(clip_weights, "cuda")
    clip_bank.check_model(halved)
    assert Makers.of(halved) == Makers.of(clip_towers(clip_weights)) == clip_bank.config.makers
    assert halved.identities() != clip_towers(clip_weights).identities()  # by which term tables are kept apart


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs files that its user may not read")
def test_a_bank_that_may_not_be_read(copy: Path) -> None:
    (copy / "prompts.txt").chmod(0)
    with pytest.raises(DataError, match=r"cannot read the bank .*Permission denied"):
        Bank.open(copy)


def test_its_identity_changes_with_its_content(copy: Path, bank: Bank) -> None:
    assert Bank.open(copy).identity() == {"bank copy": bank.identity()["bank small"]}
    config = json.loads((copy / "config.json").read_text())
    config["files"]["prompts.txt"]["sha256"] = "0" * 64
    (copy / "config.json").write_text(json.dumps(config))
    assert Bank.open(copy).identity()["bank copy"] != bank.identity()["bank small"]
