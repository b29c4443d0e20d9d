"""Whole models of open_clip: names, sizes and where weights come from."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from unprompt.errors import DataError, ModelError, UnknownNameError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402
from tiny_open_clip import OPTIONS, build, shaken  # noqa: E402

from unprompt.towers.open_clip_model import build_model, split_name, weights_file, weights_identity  # noqa: E402


def _saved(model: torch.nn.Module, path: Path, **more: torch.Tensor) -> Path:
    save_file({name: value.contiguous() for name, value in {**model.state_dict(), **more}.items()}, path)
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ViT-L-14.openai", ("ViT-L-14", "openai")),
        ("ViT-L-14/openai", ("ViT-L-14", "openai")),
        ("ViT-B-32", ("ViT-B-32", "")),
    ],
)
def test_names_are_written_in_two_ways(name: str, expected: tuple[str, str]) -> None:
    assert split_name(name) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-L-41.openai", "unknown CLIP model 'ViT-L-41'; did you mean 'ViT-L-1"),
        ("ViT-L-14.opnai", "unknown tag of ViT-L-14 'opnai'; did you mean 'openai'"),
        ("ViT-L-14/opnai", "unknown tag of ViT-L-14 'opnai'; did you mean 'openai'"),
        ("hf-hub:someone/something", "unknown CLIP model"),
        ("../../x", "unknown CLIP model"),
        ("", "unknown CLIP model ''"),
    ],
)
def test_unknown_names_get_the_nearest(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        build_model(name, weights="random")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layers": 2}, UnknownNameError, "unknown option of ViT-B-32 'layers'"),
        ({"text_cfg": {"hf_model_name": 3}}, UnknownNameError, "unknown option of ViT-B-32 'hf_model_name'"),
        ({"vision_cfg": {"timm_model_pretrained": 1}}, UnknownNameError, "'timm_model_pretrained'"),
        ({"vision_cfg": {"timm_model_name": "x"}}, DataError, "expected timm_model_name to be a number"),
        ({"text_cfg": 3}, DataError, "expected text_cfg to be a table of sizes, found 3"),
        ({"embed_dim": -1}, DataError, "expected embed_dim to be a number from 0 to"),
        ({"embed_dim": True}, DataError, "expected embed_dim to be a number from 0 to"),
        ({"text_cfg": {"width": 10, "heads": 3}}, DataError, "ViT-B-32 cannot be built with"),
    ],
)
def test_options_are_sizes(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        build_model("ViT-B-32", weights="random", options=options)


def test_weights_of_a_file_answer_as_those_they_were_saved_from(tmp_path: Path) -> None:
    source = build()
    path = _saved(source, tmp_path / "clip.safetensors")
    tokens = torch.tensor([[49406, 5, 49407, *[0] * 74]])
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for weights in (str(path), str(tmp_path)):
        read = build_model("ViT-B-32.laion2b_s34b_b79k", weights=weights, options=OPTIONS)
        with torch.inference_mode():
            torch.testing.assert_close(read.encode_image(pixels), source.encode_image(pixels))
            torch.testing.assert_close(read.encode_text(tokens), source.encode_text(tokens))
            torch.testing.assert_close(read.encode_text(tokens), read.encode_text(tokens))
        assert {value.device.type for value in (*read.parameters(), *read.buffers())} == {"cpu"}
    half = build_model("ViT-B-32", weights=str(path), options=OPTIONS, precision="fp16")
    assert {value.dtype for value in half.parameters()} == {torch.float16, torch.float32}


def test_the_activation_is_that_of_the_tag() -> None:
    kinds = {
        name: type(build_model(name, weights="random", options=OPTIONS).transformer.resblocks[0].mlp.gelu).__name__
        for name in ("ViT-B-32.openai", "ViT-B-32.laion2b_s34b_b79k", "ViT-B-32")
    }
    assert list(kinds.values()) == ["QuickGELU", "GELU", "GELU"]


def test_weights_that_lack_or_bring_too_much_are_named(tmp_path: Path) -> None:
    state = {name: value for name, value in build().state_dict().items() if name != "visual.proj"}
    save_file({**state, "new": torch.zeros(1)}, tmp_path / "clip.safetensors")
    with pytest.raises(DataError, match=r"of ViT-B-32: missing: visual\.proj; unknown: new"):
        build_model("ViT-B-32", weights=str(tmp_path), options=OPTIONS)


def test_weights_of_another_size_are_named(tmp_path: Path) -> None:
    path = _saved(build(), tmp_path / "clip.safetensors")
    with pytest.raises(DataError, match=r"text_projection \(48, 40\) in place of \(48, 56\)"):
        build_model("ViT-B-32", weights=str(path), options={**OPTIONS, "embed_dim": 56})


def test_weights_that_are_not_at_hand_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as found:
        build_model("ViT-L-14.openai", options=OPTIONS)
    for part in ("ViT-L-14.openai", "open_clip_model.safetensors", "timm/vit_large_patch14_clip_224.openai", "OFFLINE"):
        assert part in str(found.value)
    with pytest.raises(DataError, match="expected start weights, a safetensors file"):
        weights_file("ViT-L-14.openai", str(tmp_path / "nothing"))


def test_identities_change_with_the_weights(tmp_path: Path) -> None:
    one, other = build(seed=0), build(seed=1)
    assert weights_identity(one) == weights_identity(build(seed=0)) != weights_identity(other)
    assert re.fullmatch("[0-9a-f]{12}", weights_identity(one))
    shaken(one, 0).logit_scale.data += 1e-3
    assert weights_identity(one) != weights_identity(build(seed=0))
    path = _saved(one, tmp_path / "clip.safetensors")
    assert weights_identity(path) == hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_a_file_of_the_hubs_cache_is_not_read_for_its_identity(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"anything")
    link = tmp_path / "snapshots" / "open_clip_model.safetensors"
    link.parent.mkdir()
    link.symlink_to(blob)
    assert weights_identity(link) == "abababababab"
    git_sha1 = blob.with_name("ab" * 20)  # how the cache names files that are not in LFS
    blob.rename(git_sha1)
    assert weights_identity(git_sha1) == hashlib.sha256(b"anything").hexdigest()[:12]
