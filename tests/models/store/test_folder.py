"""Model folders: what a config must say, and that files are what it says."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder, file_sha256, write_config

HASH = "0123456789abcdef" * 4
FILES = ("model.onnx", "tokenizer.json")


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return tiny_models.decoder(tmp_path / "words.tiny")


def _states(folder: ModelFolder) -> dict[str, str]:
    return {check.path.name: check.state for check in folder.verify()}


def _rewrite(folder: ModelFolder, **changes: Any) -> None:
    config = {key: value for key, value in {**folder.config, **changes}.items() if value is not None}
    (folder.path / "config.json").write_text(json.dumps(config))


def test_what_was_written_is_read(folder: ModelFolder) -> None:
    read = ModelFolder.open(folder.path)
    assert read == folder
    assert read.name == "words.tiny"
    assert read.file("model.onnx") == folder.path / "model.onnx"
    promised = read.config["files"]["tokenizer.json"]
    assert promised["sha256"] == file_sha256(folder.path / "tokenizer.json")
    assert promised["size"] == (folder.path / "tokenizer.json").stat().st_size
    assert _states(read) == dict.fromkeys(FILES, "ok")


def test_a_known_hash(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("size_kept", [True, False])
def test_a_changed_file(folder: ModelFolder, size_kept: bool) -> None:
    path = folder.path / "model.onnx"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if size_kept else content + b"x")
    with pytest.raises(ModelError, match=r"words\.tiny: .*model\.onnx has another sha256 than its config says"):
        folder.file("model.onnx")
    assert folder.file("tokenizer.json").exists()
    assert _states(folder) == dict.fromkeys(FILES, "ok") | {"model.onnx": "damaged"}


def test_a_missing_file(folder: ModelFolder) -> None:
    (folder.path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing; expected \d+ bytes, sha256 [0-9a-f]{12}\.\.\."):
        folder.file("tokenizer.json")
    assert _states(folder) == dict.fromkeys(FILES, "ok") | {"tokenizer.json": "missing"}


def test_a_folder_in_the_place_of_a_file(folder: ModelFolder) -> None:
    (folder.path / "tokenizer.json").unlink()
    (folder.path / "tokenizer.json").mkdir()
    with pytest.raises(ModelError, match="is missing"):
        folder.file("tokenizer.json")


def test_a_file_that_the_config_does_not_know(folder: ModelFolder) -> None:
    (folder.path / "extra.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"does not say size and sha256 of extra\.bin"):
        folder.file("extra.bin")


@pytest.mark.parametrize("key", ["name", "architecture", "files", "licence", "origin"])
def test_a_config_that_lacks_a_key(folder: ModelFolder, key: str) -> None:
    _rewrite(folder, **{key: None})
    with pytest.raises(ModelError, match=f"config.json lacks '{key}'"):
        ModelFolder.open(folder.path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "expected files to be a table"),
        ("model.onnx", "expected files to be a table"),
        ({"model.onnx": "abc"}, r"expected files\.model\.onnx to be a table, found 'abc'"),
        ({"model.onnx": {"size": 3}}, r"\[files\.model\.onnx\] of .*config\.json lacks 'sha256'"),
        (
            {"model.onnx": {"size": "big", "sha256": HASH}},
            "expected size to be a whole number from 0 to .*, found 'big'",
        ),
        ({"model.onnx": {"size": math.inf, "sha256": HASH}}, "expected size to be a whole number"),
        ({"model.onnx": {"size": 2.5, "sha256": HASH}}, "expected size to be a whole number"),
        ({"model.onnx": {"size": True, "sha256": HASH}}, "expected size to be a whole number"),
        ({"model.onnx": {"size": -1, "sha256": HASH}}, "expected size to be a whole number"),
        ({"model.onnx": {"size": 10**400, "sha256": HASH}}, "expected size to be a whole number"),
        ({"model.onnx": {"size": 3, "sha256": f"\x1b[2J{HASH}"}}, "64 hexadecimal digits"),
        ({"model.onnx": {"size": 3, "sha256": HASH[1:]}}, "64 hexadecimal digits"),
        ({"model\x1b[2J.onnx": {"size": 3, "sha256": HASH}}, r"in the folder, found 'model\\x1b\[2J\.onnx'"),
        ({"../weights": {"size": 3, "sha256": HASH}}, r"names of files in the folder, found '\.\./weights'"),
        ({"/etc/hosts": {"size": 3, "sha256": HASH}}, "names of files in the folder, found '/etc/hosts'"),
        ({"c:weights": {"size": 3, "sha256": HASH}}, "names of files in the folder, found 'c:weights'"),
    ],
)
def test_a_config_with_useless_files(folder: ModelFolder, files: object, message: str) -> None:
    _rewrite(folder, files=files)
    with pytest.raises(ModelError, match=message):
        ModelFolder.open(folder.path)


def test_no_config_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"expected a model folder with a config\.json at .*, found none"):
        ModelFolder.open(tmp_path)
    with pytest.raises(ModelError, match="cannot read"):
        ModelFolder.open(tmp_path / "model.onnx")


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b"3", b"null"])
def test_a_config_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot read .*config\.json|config\.json to be a table"):
        ModelFolder.open(tmp_path)


def test_the_identity_is_that_of_the_content(folder: ModelFolder, tmp_path: Path) -> None:
    same = tiny_models.decoder(tmp_path / "again" / "renamed.tiny")
    other = tiny_models.decoder(tmp_path / "other" / "words.tiny", seed=1)
    assert folder.identity() == same.identity() != other.identity()
    assert len(folder.identity()) == 12


def test_aids_are_checked_but_are_no_part_of_the_model(folder: ModelFolder) -> None:
    (folder.path / "quick.onnx").write_bytes(b"quick")
    config = {key: value for key, value in folder.config.items() if key != "files"}
    helped = write_config(folder.path, {**config, "aids": ["quick.onnx"]}, [*FILES, "quick.onnx"])
    assert helped.identity() == folder.identity()
    assert helped.identity(aids=True) != folder.identity(aids=True) == folder.identity()
    (folder.path / "quick.onnx").write_bytes(b"quack")
    with pytest.raises(ModelError, match=r"quick\.onnx has another sha256"):
        helped.file("quick.onnx")


@pytest.mark.parametrize("aids", ["quick.onnx", 3, [3], {"quick.onnx": 1}])
def test_aids_that_are_no_names(folder: ModelFolder, aids: object) -> None:
    _rewrite(folder, aids=aids)
    with pytest.raises(ModelError, match="aids"):
        ModelFolder.open(folder.path)
