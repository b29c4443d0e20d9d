"""What models need on the disk, told without a network and without loading anything."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import tiny_models

from unprompt.captioners.needs import captioner_need
from unprompt.errors import DataError, ModelError
from unprompt.models.store.needs import file_need, folder_need, package_need
from unprompt.models.store.published_models import published_models
from unprompt.towers.needs import towers_need

COMMIT = "0123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache: Path, repository: str, name: str, content: bytes) -> str:
    """A file as the hub's library lays it out; returns its hash."""
    place = cache / f"models--{repository.replace('/', '--')}"
    digest = hashlib.sha256(content).hexdigest()
    for folder in ("blobs", "refs", f"snapshots/{COMMIT}"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(COMMIT)
    (place / "blobs" / digest).write_bytes(content)
    (place / "snapshots" / COMMIT / name).symlink_to(place / "blobs" / digest)
    return digest


def test_nothing_is_here(cache: Path) -> None:
    need = towers_need("ViT-H-14.laion2b_s32b_b79k", "hub")
    (file,) = need.files
    assert not need.is_here
    assert (file.name, file.exact, file.sha256) == ("open_clip_model.safetensors", False, "")
    assert file.size == pytest.approx(3.94e9, rel=0.01)
    assert file.place.parent == cache / "models--laion--CLIP-ViT-H-14-laion2B-s32B-b79K"
    assert need.licence == "MIT"
    assert "'unprompt models fetch ViT-H-14.laion2b_s32b_b79k' brings it" in str(need.absence())
    assert towers_need("ViT-H-14/laion2b_s32b_b79k", "hub") == need  # as CLIP Interrogator writes it


def test_size_and_hash_of_what_is_here_come_from_the_disk(cache: Path) -> None:
    digest = put(cache, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", "open_clip_pytorch_model.bin", b"weights")
    need = towers_need("ViT-H-14.laion2b_s32b_b79k", "hub")
    (file,) = need.files
    assert need.is_here
    assert (file.name, file.size, file.exact, file.sha256) == ("open_clip_pytorch_model.bin", 7, True, digest)


def test_some_files_of_a_captioner_are_here(cache: Path) -> None:
    for name in ("config.json", "vocab.json", "pytorch_model.bin"):
        put(cache, "OFA-Sys/ofa-base", name, name.encode())
    need = captioner_need("ofa-base")
    assert [file.name for file in need.missing] == ["merges.txt"]
    assert "expected merges.txt in" in str(need.absence())


def test_weights_elsewhere(tmp_path: Path) -> None:
    weights = tmp_path / "clip.safetensors"
    need = towers_need("ViT-B-32.openai", str(weights))
    assert [file.place for file in need.missing] == [weights]
    assert need.hub is None
    weights.write_bytes(b"weights")
    for place in (weights, tmp_path):
        assert [file.size for file in towers_need("ViT-B-32.openai", str(place)).files] == [7]
    assert towers_need("ViT-B-32", "random").is_here
    need = captioner_need("coca_ViT-B-32.laion2b_s13b_b90k", weights)
    assert (need.is_here, need.licence) == (True, "MIT")
    for place in (tmp_path / "none.safetensors", tmp_path / "none.bin", tmp_path):  # CoCa's are in one file
        need = captioner_need("coca_ViT-B-32.laion2b_s13b_b90k", place)
        assert [file.place for file in need.missing] == [place]
        assert f"expected {place.name} in {place.parent}; name a safetensors file" in str(need.absence())
    with pytest.raises(DataError, match=r"one place for a captioner, found local:.* and weights = .*; leave one out"):
        captioner_need(f"local:{tmp_path}", tmp_path)


def test_a_captioners_folder(tmp_path: Path) -> None:
    need = captioner_need(f"local:{tmp_path}")
    assert "expected a captioner's folder with a config.json" in str(need.absence())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "blip"}))
    need = captioner_need(f"local:{tmp_path}")
    assert isinstance(need.absence(), ModelError)
    assert "is no whole captioner: expected preprocessor_config.json, tokenizer.json" in str(need.absence())
    for name in ("preprocessor_config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    need = captioner_need("blip-base", tmp_path)
    assert need.is_here
    assert len(need.files) == 4


def test_an_ofas_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "ofa"}))
    need = captioner_need(f"local:{tmp_path}")
    assert [file.name for file in need.missing] == ["vocab.json", "merges.txt", "model.safetensors"]
    for name in ("vocab.json", "merges.txt", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    assert captioner_need("ofa-tiny", tmp_path).is_here


def test_model_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNPROMPT_MODELS", str(tmp_path))
    folder = tiny_models.regressor(tmp_path / "linear.tiny")
    need = folder_need("linear.tiny")
    (file,) = need.files
    assert (file.here, file.exact, need.licence) == (True, True, "MIT")
    assert file.size == (folder.path / "model.onnx").stat().st_size
    assert file.sha256 == folder.config["files"]["model.onnx"]["sha256"]
    (folder.path / "model.onnx").unlink()
    assert not folder_need("linear.tiny").is_here
    (folder.path / "config.json").write_text("{")
    assert "cannot read" in str(folder_need("linear.tiny").absence())
    assert "did you mean 'linear.tiny'" in str(folder_need("linear.tyni").absence())
    need = folder_need("vit_base_patch16_224.published")
    assert published_models()[need.name].made_by in str(need.absence())


def test_packages_and_files(tmp_path: Path) -> None:
    assert package_need("numpy", "numpy", "BSD").is_here
    need = package_need("no_such_module", "no-such-package", "MIT")
    assert "pip install no-such-package" in str(need.absence())
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "a").write_bytes(b"12345")
    (file,) = file_need("bank", tmp_path / "bank", "build it").files
    assert (file.here, file.size) == (True, 5)


@pytest.mark.torch
def test_models_that_only_open_clip_knows(cache: Path) -> None:
    pytest.importorskip("torch")
    need = towers_need("ViT-B-16.laion2b_s34b_b88k", "hub")
    assert need.hub is not None
    assert need.hub.repository == "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"
    assert need.files[0].size == 0
