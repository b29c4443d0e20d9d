"""train, models and presets."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from unprompt.presets import preset_path

Unprompt = Callable[..., Any]


def test_train_needs_torch(unprompt: Unprompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("unprompt.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "recipe.toml").touch()
    run = unprompt("train", tmp_path / "recipe.toml")
    assert (run.code, run.out) == (2, "")
    assert "pip install 'unprompt[torch]'" in run.err


@pytest.mark.torch
def test_train_of_a_missing_recipe(unprompt: Unprompt, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = unprompt("train", tmp_path / "none.toml", "-o", tmp_path / "run")
    assert (run.code, run.out) == (2, ""), run.err
    assert "expected a recipe" in run.err


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with one tiny model."""
    monkeypatch.setenv("UNPROMPT_MODELS", str(tmp_path / "models"))
    return tiny_models.regressor(tmp_path / "models" / "linear.tiny").path


def test_models_list(unprompt: Unprompt, models: Path) -> None:
    run = unprompt("models", "list")
    assert run.code == 0
    assert all(text in run.out for text in ("linear.tiny", "all-MiniLM-L6-v2.unprompt", "Apache-2.0", str(models)))


def test_models_verify(unprompt: Unprompt, models: Path) -> None:
    run = unprompt("models", "verify", "linear.tiny", "all-MiniLM-L6-v2.unprompt")
    assert (run.code, run.err) == (0, "")
    assert json.loads((models / "config.json").read_text())["files"]["model.onnx"]["sha256"] in run.out


def test_models_verify_names_all_that_is_wrong_at_once(unprompt: Unprompt, models: Path) -> None:
    shutil.copytree(models, models.parent / "other.tiny")
    (models / "model.onnx").write_bytes(b"damaged")
    (models.parent / "other.tiny" / "model.onnx").unlink()
    run = unprompt("models", "verify", "linear.tiny", "other.tiny", "linear.tny")
    assert run.code == 2
    assert "damaged" in run.err
    assert "is missing" in run.err
    assert "did you mean 'linear.tiny'" in run.err
    assert len(run.err.splitlines()) == 3


def test_presets_list(unprompt: Unprompt) -> None:
    run = unprompt("presets", "list")
    assert run.code == 0
    assert "embedded" in run.out


def test_presets_show(unprompt: Unprompt, preset: Path) -> None:
    assert unprompt("presets", "show", "embedded", "--toml") == (0, preset_path("embedded").read_text(), "")
    assert unprompt("presets", "show", preset, "--toml").out == preset.read_text()
    run = unprompt("presets", "show", "embeded")
    assert (run.code, run.out) == (2, "")
    assert "did you mean 'embedded'" in run.err
