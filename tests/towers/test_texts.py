"""Text towers at tiny size, against open_clip's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from unprompt.errors import ModelError

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402
from tiny_open_clip import build  # noqa: E402

from unprompt.models.networks.open_clip_backbone import quiet  # noqa: E402
from unprompt.models.networks.torchvision_cure import cure_torchvision  # noqa: E402
from unprompt.towers.causal import is_causal  # noqa: E402
from unprompt.towers.texts import encode_texts, is_causal_config  # noqa: E402

cure_torchvision()

import open_clip  # noqa: E402

pytestmark = pytest.mark.torch

TEXTS = ["a red cat", "a house by the sea, oil painting", "moon " * 100]
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION = {"image_size": 64, "layers": 1, "width": 32, "head_width": 16, "patch_size": 32}


@pytest.mark.parametrize(("tag", "quick_gelu"), [("openai", True), ("laion2b_s34b_b79k", False)])
def test_vectors_are_those_of_open_clip_with_the_activation_of_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str, quick_gelu: bool
) -> None:
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32", _small())
    with quiet():
        model = open_clip.create_model("ViT-B-32", load_weights=False, quick_gelu=quick_gelu).eval()
    for block in model.transformer.resblocks:  # at its start width the two activations hardly differ
        torch.nn.init.normal_(block.mlp.c_fc.weight, std=1.0)
        torch.nn.init.normal_(block.mlp.c_proj.weight, std=1.0)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "clip.safetensors")
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(TEXTS), normalize=True)
    found = encode_texts(
        f"ViT-B-32.{tag}", TEXTS, weights=str(tmp_path / "clip.safetensors"), device=torch.device("cpu")
    )
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-5)


def test_a_tokenizer_that_is_not_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32", {**_small(), "text_cfg": _elsewhere()})
    with pytest.raises(ModelError, match="the tokenizer of ViT-B-32 cannot be had"):
        encode_texts("ViT-B-32", TEXTS, weights="random", device=torch.device("cpu"))


def test_how_many_are_done_is_told() -> None:
    heard: list[int] = []
    encode_texts(
        "ViT-B-32",
        ["moon"] * 2050,
        weights="random",
        device=torch.device("cpu"),
        options={"embed_dim": 8, "text_cfg": TEXT},
        advance=heard.append,
    )
    assert heard == [2048, 2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ViT-B-32", True),
        ("ViT-H-14", True),
        ("RN50", True),
        ("EVA02-B-16", True),
        ("MobileCLIP-B", True),
        ("PE-Core-B-16", True),
        ("MobileCLIP-S1", False),
        ("ViT-L-14-CLIPA", False),
        ("ViT-B-16-SigLIP", False),
        ("coca_ViT-B-32", False),
    ],
)
def test_a_config_tells_what_the_tower_is(name: str, expected: bool) -> None:
    assert is_causal_config(name) == is_causal(build(name)) == expected


def _small() -> dict[str, object]:
    return {"embed_dim": 48, "vision_cfg": VISION, "text_cfg": TEXT}


def _elsewhere() -> dict[str, object]:
    return {**TEXT, "hf_tokenizer_name": "/nowhere/tokenizer"}
