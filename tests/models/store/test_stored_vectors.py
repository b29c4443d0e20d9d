"""Unit vectors in 8 bits: what is written is read, and nothing else is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.models.store.stored_vectors import VECTORS_LIMIT, read_vectors, write_vectors

NAME = "vectors.npy"


def _folder(path: Path) -> ModelFolder:
    config = {"name": "vectors.tiny", "architecture": "vectors", "licence": "MIT", "origin": "a test"}
    return write_config(path, config, [NAME])


def _npy(values: npt.NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    raw = np.random.default_rng(1).standard_normal((50, 384))
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    write_vectors(tmp_path / NAME, vectors)
    read = read_vectors(_folder(tmp_path), NAME)
    assert read.dtype == np.float32
    assert np.allclose(np.linalg.norm(read, axis=1), 1, atol=1e-6)
    assert (read * vectors).sum(axis=1).min() > 0.9998
    assert (tmp_path / NAME).stat().st_size == 50 * 384 + 128


def test_none_are_none(tmp_path: Path) -> None:
    write_vectors(tmp_path / NAME, np.empty((0, 384), np.float32))
    assert read_vectors(_folder(tmp_path), NAME).shape == (0, 384)


ONES = np.ones((3, 384), np.int8)
HUGE = _npy(ONES).replace(b"(3, 384)", b"(9999999999999999999999, 384)").replace(b" " * 21 + b"\n", b"\n")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (_npy(ONES.astype(np.float32)), r"found the shape \(3, 384\) of float32"),
        (_npy(ONES[:, :383]), r"found the shape \(3, 383\) of int8"),
        (_npy(ONES[0]), r"found the shape \(384,\) of int8"),
        (_npy(np.asfortranarray(ONES)), r"found the shape \(3, 384\) of int8"),
        (_npy(np.zeros((VECTORS_LIMIT + 1, 384), np.int8)), "found 100,001"),
        (_npy(np.zeros((3, 384), np.int8)), "found one that is all zeros"),
        (_npy(ONES)[:-1], "cannot reshape"),
        (HUGE, "found 9,999,999,999"),
        (_npy(np.array([{}, {}])), "of object"),
        (b"\x93NUMPY\x02\x00" + _npy(ONES)[8:], "another version"),
        (b"PK\x03\x04 a zip", "magic string is not correct"),
        (b"", "magic string"),
    ],
    ids=["float", "narrow", "flat", "columns", "many", "zeros", "cut", "huge", "pickle", "version", "zip", "empty"],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ModelError, match=rf"model vectors\.tiny: expected unit vectors of 384 .* in {NAME}: .*{found}"):
        read_vectors(_folder(tmp_path), NAME)


def test_damage_is_found_by_its_hash(tmp_path: Path) -> None:
    write_vectors(tmp_path / NAME, np.ones((3, 384), np.float32))
    folder = _folder(tmp_path)
    (tmp_path / NAME).write_bytes(_npy(-ONES))
    with pytest.raises(ModelError, match="another sha256"):
        read_vectors(folder, NAME)
