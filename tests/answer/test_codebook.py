"""Codebooks: how they draw vectors, and what is read of a model folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from unprompt import Prediction, load
from unprompt.answer.codebook import VECTORS, Codebook
from unprompt.answer.fusing import fuse
from unprompt.errors import ModelError
from unprompt.evaluation.scoring import sound_pairs
from unprompt.models.store.folder import ModelFolder, write_config

Vectors = npt.NDArray[np.float32]


def _unit(raw: npt.NDArray[np.floating]) -> Vectors:
    return (raw / np.linalg.norm(raw, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def directions() -> Vectors:
    """Four directions (4, 384), nearly at right angles."""
    return _unit(np.random.default_rng(1).standard_normal((4, 384)))


@pytest.fixture(scope="module")
def given() -> Vectors:
    """Five other directions (5, 384)."""
    return _unit(np.random.default_rng(2).standard_normal((5, 384)))


def _folder(path: Path, vectors: Vectors, architecture: str = "codebook") -> ModelFolder:
    config = {"name": "book.tiny", "architecture": architecture, "licence": "MIT", "origin": "a test"}
    return write_config(path, config, Codebook(vectors).write(path))


def test_vectors_are_drawn_by_the_weighted_mean_of_all(given: Vectors, directions: Vectors) -> None:
    drawn = Codebook(directions).draw(given, share=0.25, sharpness=7.0)
    assert drawn.dtype == np.float32
    for vector, found in zip(given, drawn, strict=True):
        weights = [np.exp(7.0 * float(vector.astype(np.float64) @ one)) for one in directions]
        mean = sum(weight * one.astype(np.float64) for weight, one in zip(weights, directions, strict=True))
        expected = 0.75 * vector + 0.25 * mean / np.linalg.norm(mean)
        assert np.allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_no_share_changes_nothing_and_the_whole_answers_with_the_codebook_alone(directions: Vectors) -> None:
    given = _unit(directions[:1] + 0.3 * directions[1:2])
    codebook = Codebook(directions)
    assert np.allclose(codebook.draw(given, share=0, sharpness=20), given, atol=1e-6)
    assert np.allclose(codebook.draw(given, share=1, sharpness=1000), directions[:1], atol=1e-6)


def test_a_vector_that_the_codebook_cancels_out_stays(directions: Vectors) -> None:
    one = directions[:1]
    assert np.allclose(Codebook(-one).draw(one, share=0.5, sharpness=20), one, atol=1e-6)
    both = np.concatenate([directions[1:2], -directions[1:2]])
    across = one.copy()
    across[0, 1:] = 0
    both[:, 0] = 0  # at right angles to it, and each other's opposite: their mean says nothing
    assert np.allclose(Codebook(_unit(both)).draw(_unit(across), share=1, sharpness=20), _unit(across), atol=1e-6)


def test_what_was_written_is_read(tmp_path: Path, directions: Vectors) -> None:
    read = Codebook.read(_folder(tmp_path, directions))
    assert read.vectors.dtype == np.float32
    assert (read.vectors * directions).sum(axis=1).min() > 0.9998
    assert (tmp_path / VECTORS).stat().st_size == 4 * 384 + 128


def test_another_model_is_no_codebook(tmp_path: Path, directions: Vectors) -> None:
    with pytest.raises(ModelError, match="expected the architecture 'codebook', found 'linear'; 'unprompt codebook b"):
        Codebook.read(_folder(tmp_path, directions, "linear"))


def test_an_empty_codebook_is_refused(tmp_path: Path, directions: Vectors) -> None:
    with pytest.raises(ModelError, match=r"book\.tiny: expected vectors in codebook\.npy, found none"):
        Codebook.read(_folder(tmp_path, directions[:0]))


def test_a_file_of_other_vectors_is_refused(tmp_path: Path, directions: Vectors) -> None:
    folder = _folder(tmp_path, directions)
    np.save(tmp_path / VECTORS, directions)
    with pytest.raises(ModelError, match="another sha256"):
        Codebook.read(folder)
    with pytest.raises(ModelError, match=r"found the shape \(4, 384\) of float32"):
        Codebook.read(write_config(tmp_path, folder.config, [VECTORS]))


def test_the_packages_codebook_brings_vectors_nearer_to_those_of_true_prompts(shared: Path) -> None:
    pairs = sound_pairs(shared / "data" / "pairs" / "val.jsonl")[::20]
    unprompter = load()
    gains = []
    answers = unprompter.predict([pair.picture for pair in pairs], text=False, ignore_metadata=True)
    for pair, answer in zip(pairs, answers, strict=True):
        assert isinstance(answer, Prediction)
        (true,) = unprompter.encoder.encode([pair.prompt])
        gains.append(float(true @ answer.vector - true @ fuse(answer.votes)))
    assert np.mean(gains) > 0.005
