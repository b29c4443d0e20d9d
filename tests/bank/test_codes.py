"""Banks of 8-bit numbers, and the one in the package."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bank.conftest import prompts

from unprompt.bank.bank import Bank, verify
from unprompt.bank.building import build_bank
from unprompt.bank.codes import Codes, to_codes
from unprompt.bank.layout import PACKAGED
from unprompt.errors import DataError
from unprompt.models.store.folder import ModelFolder
from unprompt.prediction import Vector
from unprompt.presets import load_preset
from unprompt.towers.embedded import EmbeddedPair


def unit(count: int, size: int = 384, seed: int = 0) -> Vector:
    raw = np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, towers: EmbeddedPair) -> Bank:
    """The prompts of the fixture `bank`, in 8 bits; not to be changed."""
    return build_bank(prompts(300), tmp_path_factory.mktemp("banks") / "bits", towers, numbers="int8", threads=1)


def test_a_row_is_read_alike_whatever_is_read_with_it() -> None:
    codes = Codes(to_codes(unit(50)))
    assert codes.shape == (50, 384)
    for row in (0, 7, 49):
        assert codes[np.array([row])].tobytes() == codes[row : row + 1].tobytes() == codes[0:50][row].tobytes()


def test_rows_keep_their_direction_and_have_unit_length() -> None:
    vectors = unit(200)
    read = Codes(to_codes(vectors))[0:200].astype(np.float64)
    assert np.linalg.norm(read, axis=1) == pytest.approx(1, abs=1e-3)
    assert ((read * vectors).sum(axis=1) > 0.9995).all()


def test_the_nearest_are_nearly_those_of_16_bits_in_half_the_space(bank: Bank, small: Bank) -> None:
    assert small.texts(range(300)) == bank.texts(range(300))
    images = unit(20)
    for one, other in zip(bank.nearest(images, 10), small.nearest(images, 10), strict=True):
        assert one.similarities == pytest.approx(other.similarities, abs=0.004)
        assert len(set(one.rows.tolist()) & set(other.rows.tolist())) >= 9
    vectors = small.config.files["sentences.i8"].size
    assert vectors == bank.config.files["sentences.f16"].size / 2
    verify(small.folder)


def test_a_row_of_zeros_is_damage(small: Bank, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small.folder, tmp_path / "copy"))
    (copy / "sentences.i8").write_bytes(bytes(300 * 384))
    with pytest.raises(DataError, match="is damaged: some of its vectors have no unit length"):
        Bank.open(copy).nearest(unit(1), 3)


def test_a_bank_begun_in_16_bits_is_not_continued_in_8(tmp_path: Path, bank: Bank, towers: EmbeddedPair) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "building.json").write_text(json.dumps(bank.config.makers.to_json()))
    with pytest.raises(DataError, match="was begun with embedded, float16 numbers"):
        build_bank(prompts(3), begun, towers, numbers="int8")


def test_the_bank_of_the_package_is_whole_and_small(towers: EmbeddedPair) -> None:
    bank = Bank.open()
    verify(bank.folder)
    bank.check_model(towers)
    assert (len(bank), bank.config.makers.numbers) == (12_217, "int8")
    assert sum(path.stat().st_size for path in PACKAGED.iterdir()) < 6_000_000
    assert ModelFolder.open(PACKAGED).config["architecture"] == "bank"
    (found,) = bank.nearest(towers.encode_texts(["a sofa in front of a plate"]), 1)
    assert bank.texts(found.rows) == ["a sofa in front of a plate"]


def test_the_notices_are_beside_the_prompts() -> None:
    notices = (PACKAGED / "LICENSES.md").read_text(encoding="utf-8")
    for expected in (
        "PartiPrompts",
        "Copyright (c) 2023 HKU",
        "COCO Consortium",
        "CC BY 4.0",
        "Version 2.0, January 2004",
    ):
        assert expected in notices


@pytest.mark.parametrize("preset", ["embedded", "light", "best", "published", "neighbours"])
def test_no_preset_answers_by_the_bank_of_the_package(preset: str) -> None:
    assert PACKAGED.name not in repr(load_preset(preset))
