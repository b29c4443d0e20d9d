"""Model folders of torch weights: written whole or not at all, and read with suspicion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_backbones import FAMILIES

from unprompt.errors import DataError, ModelError
from unprompt.images.preprocess import PUBLISHED_VIT
from unprompt.models.store.folder import ModelFolder, replacing, write_config

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from unprompt.models.regressors.regressor_network import HeadSpec  # noqa: E402
from unprompt.models.regressors.torch_folder import load_network, save_network  # noqa: E402

VIT = FAMILIES["vit"]


def _save(folder: Path, *, seed: int = 0, **changes: Any) -> ModelFolder:
    network = VIT.network(HeadSpec("wide", hidden=8, dropout=0.5), seed=seed)
    told = {
        "name": "vit.tiny",
        "preprocessing": network.backbone.preprocessing,
        "licence": "MIT",
        "origin": "tests",
        "score": {"val": 0.5},
        "card": "# vit.tiny\n",
    }
    return save_network(network, folder, **{**told, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return _save(tmp_path / "vit.tiny")


def _rewrite(folder: ModelFolder, **changes: Any) -> ModelFolder:
    return write_config(folder.path, {**folder.config, **changes}, ["model.safetensors"])


def test_the_folder_says_all_that_there_is_to_know(folder: ModelFolder) -> None:
    assert {path.name for path in folder.path.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert [check.state for check in folder.verify()] == ["ok"]
    config = json.loads((folder.path / "config.json").read_text())
    parameters = sum(value.numel() for value in load_network(folder).parameters())
    assert config["architecture"] == VIT.name
    assert config["options"] == VIT.options
    assert (config["features"], config["head"]) == ("pooled", HeadSpec("wide", hidden=8, dropout=0.5).to_config())
    assert config["sizes"] == {"features": 32, "parameters": parameters}
    assert (config["licence"], config["origin"], config["score"]) == ("MIT", "tests", {"val": 0.5})
    assert (folder.path / "README.md").read_text() == "# vit.tiny\n"


def test_a_folder_is_written_again(folder: ModelFolder) -> None:
    before = folder.identity()
    again = _save(folder.path, seed=1)
    assert again.identity() != before
    assert {path.name for path in folder.path.parent.iterdir()} == {"vit.tiny"}


def test_nothing_but_a_model_is_ever_replaced(folder: ModelFolder, tmp_path: Path) -> None:
    (folder.path / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"expected a new folder or one with a model alone at .*, found notes\.txt"):
        _save(folder.path, seed=1)
    assert (folder.path / "notes.txt").read_text() == "mine"
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    with pytest.raises(ModelError, match=r"found chapter\.tex"):
        _save(tmp_path / "thesis")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match="found file"):
        _save(tmp_path / "file")
    with pytest.raises(DataError, match=r"cannot write .*: (Not a directory|File exists); write somewhere else"):
        _save(tmp_path / "file" / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "thesis", "vit.tiny"]


def _write_half(path: Path) -> None:
    with replacing(path) as new:
        (new / "model.safetensors").write_bytes(b"half")
        raise OSError("disk full")


def test_what_a_kill_between_two_renamings_left_is_put_back(folder: ModelFolder) -> None:
    os.replace(folder.path, folder.path.with_name(".vit.tiny.old"))
    (folder.path.with_name(".vit.tiny.new")).mkdir()
    with pytest.raises(OSError, match="disk full"):
        _write_half(folder.path)
    assert ModelFolder.open(folder.path).identity() == folder.identity()
    assert [check.state for check in folder.verify()] == ["ok"]
    _save(folder.path, seed=1)
    assert {path.name for path in folder.path.parent.iterdir()} == {"vit.tiny"}


def test_a_kill_leaves_a_whole_folder(folder: ModelFolder) -> None:
    """Killed at whatever moment it happens to be in, several times."""
    code = f"""
import sys, torch
sys.path[:0] = {sys.path!r}
from pathlib import Path
from tiny_backbones import FAMILIES
from unprompt.models.regressors.regressor_network import HeadSpec
from unprompt.models.regressors.torch_folder import save_network
network = FAMILIES["vit"].network(HeadSpec("wide", hidden=8))
print("ready", flush=True)
while True:
    save_network(network, Path({str(folder.path)!r}), name="vit.tiny", licence="MIT", origin="t", score={{}}, card="",
                 preprocessing=network.backbone.preprocessing)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for _ in range(20):  # stopped is as good as killed, and costs no start
        time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        old = folder.path.with_name(".vit.tiny.old")
        whole = ModelFolder.open(folder.path if folder.path.exists() else old)
        assert [check.state for check in whole.verify()] == ["ok"]
        process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()
    process.stdout.close()
    _save(folder.path, seed=1)
    assert {path.name for path in folder.path.parent.iterdir()} == {"vit.tiny"}


def test_preprocessing_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"takes pictures of 32 pixels; its preprocessing makes them 224"):
        _save(tmp_path / "new", preprocessing=PUBLISHED_VIT)
    assert not (tmp_path / "new").exists()


def test_damaged_weights(folder: ModelFolder) -> None:
    path = folder.path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="another sha256"):
        load_network(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "eva02_tiny_patch14_224"}, "does not fit to the config"),
        ({"architecture": "vit_nothing"}, "unknown backbone 'vit_nothing'"),
        ({"architecture": 3}, "unknown backbone '3'"),
        ({"options": {**VIT.options, "depth": 4}}, "does not fit to the config: missing: backbone.network.blocks.3"),
        ({"options": {**VIT.options, "embed_dim": 16_384, "depth": 32}}, "expected at most 10,000,000,000"),
        ({"options": {**VIT.options, "checkpoint_path": "/etc/passwd"}}, "unknown option"),
        ({"options": [1]}, r"expected options as a JSON object, found \[1\]"),
        ({"features": "all"}, "unknown features 'all'"),
        ({"features": None}, "unknown features 'None'"),
        ({"head": {"kind": "linear"}}, "unknown: head.perceptron"),
        ({"head": {"kind": "wide", "hidden": 131_072}}, "of another shape: head.perceptron"),
        ({"head": {"kind": "nothing"}}, "unknown kind in the head 'nothing'"),
        ({"head": None}, "expected the head to be a table"),
        ({"preprocessing": None}, "found a config without preprocessing"),
        ({"preprocessing": {"input_size": 3}}, "preprocessing lacks"),
    ],
)
def test_a_config_that_does_not_fit_its_weights(folder: ModelFolder, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_network(_rewrite(folder, **changes))


def test_weights_that_are_no_safetensors(folder: ModelFolder) -> None:
    (folder.path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"expected weights as a safetensors file at .*model\.safetensors"):
        load_network(_rewrite(folder))


def test_weights_in_half_precision_are_widened(folder: ModelFolder) -> None:
    path = folder.path / "model.safetensors"
    state = {name: value.half() for name, value in safetensors_torch.load_file(path).items()}
    safetensors_torch.save_file(state, path)
    network = load_network(_rewrite(folder))
    assert {value.dtype for value in network.parameters()} == {torch.float32}
