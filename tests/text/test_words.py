"""The words of a decoder, with their vectors in 8 bits."""

from pathlib import Path

import numpy as np
import pytest

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.words import VECTORS, WORDS, Words

TEXTS = ("castle", "dragon", "watercolour", "night")


def _folder(path: Path, words: Words) -> ModelFolder:
    config = {"name": "words.tiny", "architecture": "words", "licence": "MIT", "origin": "a test"}
    return write_config(path, config, words.write(path))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    vectors = SentenceEncoder.embedded(1).encode(TEXTS)
    read = Words.read(_folder(tmp_path, Words(TEXTS, vectors)))
    assert read.texts == TEXTS
    assert read.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(read.vectors, axis=1), 1, atol=1e-5)
    assert (read.vectors * vectors).sum(axis=1).min() > 0.9998
    assert (tmp_path / VECTORS).stat().st_size < 4 * 384 + 200


def test_no_words(tmp_path: Path) -> None:
    read = Words.read(_folder(tmp_path, Words((), np.zeros((0, 384), np.float32))))
    assert read.texts == ()
    assert read.vectors.shape == (0, 384)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    folder = _folder(tmp_path, Words(TEXTS, np.ones((4, 384), np.float32)))
    (tmp_path / WORDS).write_text("castle\n")
    with pytest.raises(ModelError, match="another sha256"):
        Words.read(folder)
    with pytest.raises(ModelError, match=r"words\.tiny: 1 words, but vectors of the shape \(4, 384\)"):
        Words.read(write_config(tmp_path, folder.config, [WORDS, VECTORS]))
