"""Checkpoints of other programs, some of them hostile."""

from __future__ import annotations

import argparse
import os
import pickle  # noqa: TID251 - to write what must not be read
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from unprompt.errors import DataError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from unprompt.models.store.checkpoint import read_checkpoint  # noqa: E402

WEIGHTS = {"a.weight": torch.ones(2, 3), "b": torch.zeros(2, dtype=torch.long)}


class Touch:
    """Pickled, it makes whoever reads it run a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def _prefixed(prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in WEIGHTS.items()}


@pytest.mark.parametrize(
    "held",
    [
        WEIGHTS,
        OrderedDict(WEIGHTS),
        _prefixed("module."),
        _prefixed("_orig_mod."),
        _prefixed("_orig_mod.module."),
        _prefixed("module._orig_mod."),
        {"state_dict": WEIGHTS, "epoch": 3},
        {"model": _prefixed("module."), "optimizer": {"state": {}}, "scheduler": None},
        {"model": {"state_dict": WEIGHTS}},
        {"state_dict": {"x": torch.zeros(1)}, "state_dict_ema": WEIGHTS},
        {"model_ema": WEIGHTS, "model": {"x": torch.zeros(1)}},
        {"state_dict": WEIGHTS, "args": argparse.Namespace(lr=1e-4)},
        {**WEIGHTS, "epoch": 3},
    ],
)
def test_weights_are_found(held: Any, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "model.pth")
    read = read_checkpoint(tmp_path / "model.pth")
    assert list(read) == list(WEIGHTS)
    assert all(torch.equal(read[name], value) for name, value in WEIGHTS.items())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
def test_formats_of_torch(tmp_path: Path, suffix: str, zipped: bool) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    assert list(read_checkpoint(path)) == list(WEIGHTS)


def test_safetensors(tmp_path: Path) -> None:
    safetensors_torch.save_file(_prefixed("module."), tmp_path / "model.safetensors")
    assert set(read_checkpoint(tmp_path / "model.safetensors")) == set(WEIGHTS)


def test_a_prefix_that_not_all_names_have_is_part_of_the_name(tmp_path: Path) -> None:
    held = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    torch.save(held, tmp_path / "model.pth")
    assert list(read_checkpoint(tmp_path / "model.pth")) == list(held)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    sign = tmp_path / "sign"
    path = tmp_path / "model.pth"
    torch.save({"state_dict": WEIGHTS, "extra": Touch(sign)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=r"model\.pth asks to call \w+\.system when it is read; nothing but weights"):
        read_checkpoint(path)
    assert not sign.exists()
    torch.load(path, weights_only=False)  # it is a hostile file indeed
    assert sign.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_hostile_pickle_of_any_age(tmp_path: Path, protocol: int) -> None:
    sign, path = tmp_path / "sign", tmp_path / "model.bin"
    path.write_bytes(pickle.dumps(Touch(sign), protocol))
    with pytest.raises(DataError, match=r"model\.bin"):
        read_checkpoint(path)
    assert not sign.exists()


def test_a_whole_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(DataError, match=r"asks to call torch\.nn\.\S+ .*have them saved alone: torch\.save"):
        read_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"epoch": 3}, "expected weights by name in .*; found epoch"),
        ({}, "found nothing"),
        ([torch.zeros(1)], "expected weights by name in .*, found list"),
        (torch.zeros(1), "found Tensor"),
    ],
)
def test_a_file_without_weights(tmp_path: Path, held: Any, message: str) -> None:
    torch.save(held, tmp_path / "model.pth")
    with pytest.raises(DataError, match=message):
        read_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize("content", [b"", b"hello" * 20, b"PK\x03\x04" + b"\0" * 60, b"<html></html>", b"\x80\x02"])
def test_a_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    for name in ("model.pth", "model.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=r"(is no checkpoint that torch can read|is no safetensors file)"):
            read_checkpoint(tmp_path / name)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for name in ("nothing.pth", "nothing.safetensors"):
        with pytest.raises(DataError, match=r"expected a checkpoint at .*nothing"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(DataError, match="expected a checkpoint at"):
        read_checkpoint(tmp_path)
