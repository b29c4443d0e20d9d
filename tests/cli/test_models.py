"""unprompt models: broken ones among others, torch weights, and checkpoints from elsewhere."""

from __future__ import annotations

import json
import math
import os
import pty
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models

import unprompt.models.regressors as regressors
from unprompt.models.store.folder import ModelFolder

Unprompt = Callable[..., Any]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder, with one tiny model."""
    monkeypatch.setenv("UNPROMPT_MODELS", str(tmp_path / "models"))
    return tiny_models.regressor(tmp_path / "models" / "linear.tiny").path.parent


@pytest.fixture
def own_preset(models: Path, tmp_path: Path) -> Path:
    """A preset that names the model by its folder."""
    return tiny_models.preset(tmp_path / "own.toml", ModelFolder.open(models / "linear.tiny"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A state dict of timm with a head of 384, as a compiled model saves it."""
    torch = pytest.importorskip("torch")
    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    timm = pytest.importorskip("timm")
    state = timm.create_model("test_vit", num_classes=384, img_size=224).state_dict()
    torch.save({f"_orig_mod.{name}": value for name, value in state.items()}, tmp_path / "best.pth")
    return tmp_path / "best.pth"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes standard input a terminal; what is called writes what a person types."""
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin, os.fdopen(master, "w") as keyboard:
        monkeypatch.setattr(sys, "stdin", stdin)

        def type_line(text: str) -> None:
            keyboard.write(f"{text}\n")
            keyboard.flush()

        yield type_line


@pytest.mark.parametrize("config", ["{", "3", '{"name": "a"}'])
def test_a_broken_config_is_said_and_the_others_are_listed(unprompt: Unprompt, models: Path, config: str) -> None:
    (models / "broken.tiny").mkdir()
    (models / "broken.tiny" / "config.json").write_text(config)
    run = unprompt("models", "list")
    assert run.code == 0
    assert "linear.tiny" in run.out
    assert len(run.err.splitlines()) == 1
    assert str(models / "broken.tiny" / "config.json") in run.err
    run = unprompt("models", "verify")
    assert run.code == 2
    assert "linear.tiny" in run.out
    assert str(models / "broken.tiny" / "config.json") in run.err


def _change(models: Path, **changes: Any) -> None:
    path = models / "linear.tiny" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("size", [math.inf, "big", "1\x1b[2J"])
def test_sizes_that_are_none_are_said(unprompt: Unprompt, models: Path, own_preset: Path, size: Any) -> None:
    _change(models, files={"model.onnx": {"size": size, "sha256": "0" * 64}})
    expected = f"[files.model.onnx] of {models / 'linear.tiny' / 'config.json'}: expected size to be a whole number"
    for command, code in (("models list", 0), ("models verify linear.tiny", 2), (f"presets show {own_preset}", 0)):
        run = unprompt(*command.split())
        assert run.code == code
        assert expected in run.err


def test_nothing_that_a_strangers_config_says_is_obeyed_by_the_terminal(
    unprompt: Unprompt, models: Path, own_preset: Path
) -> None:
    escape = "\x1b]0;owned\x07"
    promised = {"size": 1, "sha256": "0" * 64}
    for changes in (
        {"name": escape, "licence": escape, "files": {"gone.onnx": promised}},
        {"files": {"model.onnx": {"size": 1, "sha256": escape}}},
        {"files": {escape: promised}},
    ):
        _change(models, **changes)
        for command in ("models list", "models verify", "models verify linear.tiny", f"presets show {own_preset}"):
            run = unprompt(*command.split())
            assert run.code in (0, 2)
            assert not any(sign in run.out + run.err for sign in "\x1b\x07")
    _change(models, files={"gone.onnx": promised})
    (models / f"b{escape}").mkdir()
    (models / f"b{escape}" / "config.json").write_text("{")
    for command in ("list", "verify"):
        run = unprompt("models", command)
        assert "\\x1b]0;owned\\x07" in run.err
        assert "\x1b" not in run.out + run.err


@pytest.mark.parametrize("changes", [{"score": [1]}, {"architecture": 3}])
def test_a_config_with_odd_values_is_listed(unprompt: Unprompt, models: Path, changes: dict[str, Any]) -> None:
    _change(models, **changes)
    run = unprompt("models", "list")
    assert (run.code, run.err) == (0, "")
    assert "linear.tiny" in run.out


@pytest.mark.torch
def test_convert(unprompt: Unprompt, models: Path, checkpoint: Path, examples: Path) -> None:
    run = unprompt("models", "convert", checkpoint, "--architecture", "test_vit", "--preprocessing", "published")
    folder = models / "test_vit.converted"
    assert (run.code, run.out) == (0, f"{folder}\n"), run.err
    assert "shortest to 224 pixels, bilinear, mean 0.485 0.456 0.406" in run.err
    assert 'model = "test_vit.converted"' in run.err
    listed = unprompt("models", "list").out
    assert "test_vit.converted" in listed
    assert "unknown" in listed  # its licence
    assert unprompt("models", "verify", "test_vit.converted").code == 0
    preset = models.parent / "converted.toml"
    decoder = tiny_models.decoder(models.parent / "words")
    preset.write_text(
        '[[members]]\nkind = "regressor"\nmodel = "test_vit.converted"\n'
        f"[wording]\ndecoder = {json.dumps(f'local:{decoder.path}')}\n"
    )
    answer = unprompt(examples / "coffee.jpg", "--preset", preset)
    assert (answer.code, bool(answer.out.strip())) == (0, True), answer.err


@pytest.mark.torch
def test_convert_to_a_folder(unprompt: Unprompt, checkpoint: Path, tmp_path: Path) -> None:
    arguments = ("models", "convert", checkpoint, "--architecture", "test_vit", "--preprocessing", "published")
    folder = tmp_path / "mine" / "vit.mine"
    run = unprompt(*arguments, "-o", folder, "--licence", "CC-BY-4.0")
    assert run.code == 0, run.err
    config = json.loads((folder / "config.json").read_text())
    assert (config["name"], config["licence"]) == ("vit.mine", "CC-BY-4.0")
    assert f'model = "local:{folder}"' in run.err
    again = unprompt(*arguments, "-o", folder)
    assert (again.code, again.out) == (2, "")
    assert "expected a new folder" in again.err
    named = unprompt(*arguments, "-o", tmp_path / "other", "--name", "vit.other")
    assert named.code == 0
    assert json.loads((tmp_path / "other" / "config.json").read_text())["name"] == "vit.other"


@pytest.mark.torch
def test_what_was_converted_is_exported(unprompt: Unprompt, checkpoint: Path, tmp_path: Path, examples: Path) -> None:
    import numpy as np

    from unprompt.images.decode import Picture, decode
    from unprompt.images.sources import image_refs
    from unprompt.members.regressor import Regressor
    from unprompt.models.store.folder import ModelFolder

    arguments = ("models", "convert", checkpoint, "--architecture", "test_vit", "--preprocessing", "published")
    assert unprompt(*arguments, "-o", tmp_path / "vit").code == 0
    run = unprompt("models", "export", tmp_path / "vit", tmp_path / "exported")
    assert (run.code, run.out) == (0, f"{tmp_path / 'exported'}\n"), run.err
    before, after = (ModelFolder.open(tmp_path / name) for name in ("vit", "exported"))
    assert set(after.config["files"]) == {"model.onnx"}
    assert (after.config["preprocessing"], after.config["every_pixel"]) == (before.config["preprocessing"], True)
    assert (after.path / "README.md").read_text() == (before.path / "README.md").read_text()
    pictures = [decode(ref) for ref in image_refs([str(examples / "coffee.jpg")])]
    votes = [
        Regressor(folder, name="a", weight=1.0, threads=1).vote(
            [each for each in pictures if isinstance(each, Picture)]
        )
        for folder in (before, after)
    ]
    assert float(np.dot(votes[0][0].vector, votes[1][0].vector)) > 0.9999
    assert unprompt("models", "export", tmp_path / "vit", tmp_path).code == 2  # a folder with other things
    run = unprompt("models", "export", tmp_path / "vit", tmp_path / "exported" / ".." / "vit")
    assert (run.code, "its weights would be lost" in run.err) == (2, True)
    assert ModelFolder.open(tmp_path / "vit").identity() == before.identity()


@pytest.mark.torch
def test_convert_does_not_guess_the_preprocessing(unprompt: Unprompt, models: Path, checkpoint: Path) -> None:
    run = unprompt("models", "convert", checkpoint, "--architecture", "test_vit")
    assert (run.code, run.out) == (2, "")
    assert "expected --preprocessing, one of: published" in run.err
    assert len(run.err.splitlines()) == 1
    assert not (models / "test_vit.converted").exists()


@pytest.mark.torch
def test_convert_asks_at_a_terminal(
    unprompt: Unprompt, models: Path, checkpoint: Path, terminal: Callable[[str], None]
) -> None:
    terminal("published")
    run = unprompt("models", "convert", checkpoint, "--architecture", "test_vit")
    assert run.code == 0, run.err
    assert "Which preprocessing was it trained with?" in run.err
    config = json.loads((models / "test_vit.converted" / "config.json").read_text())
    assert config["preprocessing"]["interpolation"] == "bilinear"


@pytest.mark.torch
def test_convert_of_what_is_no_checkpoint(unprompt: Unprompt, models: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "page.pth").write_text("<html>")
    run = unprompt("models", "convert", tmp_path / "page.pth", "--architecture", "test_vit", "--preprocessing", "model")
    assert (run.code, run.out) == (2, "")
    assert len(run.err.splitlines()) == 1
    assert "is no checkpoint that torch can read" in run.err


def test_convert_needs_torch(unprompt: Unprompt, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(regressors, "conversion", raising=False)  # where it has been imported before
    monkeypatch.delitem(sys.modules, "unprompt.models.regressors.conversion", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    run = unprompt("models", "convert", tmp_path / "a.pth", "--architecture", "test_vit", "--preprocessing", "model")
    assert (run.code, run.out) == (2, "")
    assert "pip install 'unprompt[torch]'" in run.err
