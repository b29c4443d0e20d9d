"""The phrases of a decoder, with their vectors in 8 bits."""

from pathlib import Path

import numpy as np
import pytest

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.text.phrases import PHRASES, VECTORS, Phrases
from unprompt.text.sentence import SentenceEncoder

TEXTS = ("castle", "red dragon", "oil painting", "at night")


@pytest.fixture(scope="module")
def phrases() -> Phrases:
    return Phrases(TEXTS, SentenceEncoder.embedded(1).encode(TEXTS))


def _folder(path: Path, files: list[str]) -> ModelFolder:
    config = {"name": "phrases.tiny", "architecture": "phrases", "licence": "MIT", "origin": "a test"}
    return write_config(path, config, files)


def test_what_was_written_is_read(phrases: Phrases, tmp_path: Path) -> None:
    read = Phrases.read(_folder(tmp_path, phrases.write(tmp_path)))
    assert read is not None
    assert read.texts == TEXTS
    assert read.vectors.dtype == np.float32
    assert (read.vectors * phrases.vectors).sum(axis=1).min() > 0.9998
    assert (tmp_path / VECTORS).stat().st_size < 4 * 384 + 200
    assert read.stems[2] == {"oil", "paint"}


def test_a_decoder_without_phrases_has_none(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("x")
    assert Phrases.read(_folder(tmp_path, ["other.txt"])) is None


def test_files_that_do_not_match_are_refused(phrases: Phrases, tmp_path: Path) -> None:
    files = phrases.write(tmp_path)
    (tmp_path / PHRASES).write_text("castle\n")
    with pytest.raises(ModelError, match=r"phrases\.tiny: 1 phrases, but vectors of the shape \(4, 384\)"):
        Phrases.read(_folder(tmp_path, files))
