"""Image networks by name: what is refused, and where their weights come from. The families: test_architectures.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny_backbones import FAMILIES

from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.images.preprocess import Preprocessing

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

from unprompt.models.networks.backbones import build_backbone, plan_backbone  # noqa: E402

VIT = FAMILIES["vit"]
CLIP = FAMILIES["clip"]
ORIGINAL = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
HALVES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def _pixels(side: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def _save(tensors: dict[str, Any], path: Path) -> str:
    safetensors_torch.save_file({name: value.detach().clone() for name, value in tensors.items()}, path)
    return str(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_base_patch16_224", Preprocessing(224, "shortest", "bicubic", "center", **HALVES, crop_share=0.9)),
        ("vgg16", Preprocessing(224, "shortest", "bilinear", "center", **IMAGENET, crop_share=0.875)),
        ("ViT-L-14-336.openai", Preprocessing(336, "shortest", "bicubic", "center", **ORIGINAL)),
        ("ViT-B-16-SigLIP-384.webli", Preprocessing(384, "squash", "bicubic", "center", **HALVES)),
        ("ViT-B-16-SigLIP", Preprocessing(224, "squash", "bicubic", "center", **HALVES)),
        ("eva02_base_patch14_448", Preprocessing(448, "squash", "bicubic", "center", **ORIGINAL)),
        # Both libraries know convnext_xxlarge; this tag is timm's, the one below open_clip's.
        ("convnext_xxlarge.clip_laion2b_soup", Preprocessing(256, "shortest", "bicubic", "center", **ORIGINAL)),
        ("convnext_base.laion400m_s13b_b51k", Preprocessing(224, "shortest", "bicubic", "center", **ORIGINAL)),
    ],
)
def test_preprocessing_is_the_models_own(name: str, expected: Preprocessing) -> None:
    plan = plan_backbone(name)
    assert (plan.name, plan.preprocessing) == (name, expected)


@pytest.mark.parametrize(
    ("name", "size", "depth"),
    [
        ("vit_base_patch16_224", 768, 12),
        ("swin_base_patch4_window7_224", 1024, 24),
        ("vgg16", 4096, 13),
        ("convnext_base", 1024, 36),
        ("eva02_large_patch14_448", 1024, 24),
        ("ViT-L-14-336.openai", 768, 24),
        ("ViT-SO400M-14-SigLIP-384.webli", 1152, 27),
        ("coca_ViT-L-14.laion2b_s13b_b90k", 768, 24),
    ],
)
def test_sizes_of_the_real_ones(name: str, size: int, depth: int) -> None:
    plan = plan_backbone(name)
    assert (plan.size, plan.depth) == (size, depth)
    assert {value.device.type for value in plan.parameters()} == {"meta"}


def test_a_plan_costs_no_memory_and_has_the_names_of_what_is_built() -> None:
    plan, backbone = plan_backbone(VIT.name, options=VIT.options), VIT.backbone()
    assert {key: value.shape for key, value in plan.state_dict().items()} == {
        key: value.shape for key, value in backbone.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit_base_patch16_225", "unknown backbone 'vit_base_patch16_225'; did you mean 'vit_base_patch16_224'"),
        ("ViT-L-14-335.openai", "unknown backbone 'ViT-L-14-335.openai'; did you mean 'ViT-L-14-336'"),
        ("coca_ViT-L-15", "did you mean 'coca_ViT-L-14'"),
        ("vit_base_patch16_224.augreg", "unknown tag of vit_base_patch16_224 'augreg'; did you mean 'augreg_in"),
        ("ViT-L-14-336.opena", "unknown tag of ViT-L-14-336 'opena'; did you mean 'openai'"),
        ("hf-hub:someone/something", "unknown backbone"),
        ("", "unknown backbone ''"),
    ],
)
def test_unknown_names_get_the_nearest(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        build_backbone(name)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "vit_tiny_patch16_224",
            {"input_size": 225},
            "takes pictures whose side is a multiple of 16 pixels, not of 225",
        ),
        ("ViT-B-32", {"input_size": 100}, "takes pictures whose side is a multiple of 32 pixels, not of 100"),
        ("RN50", {"input_size": 256}, "takes pictures of 224 pixels alone, not of 256"),
        ("convnext_atto", {"input_size": 8}, "convnext_atto does not take pictures of 8 x 8 pixels"),
        ("vit_tiny_patch16_224", {"input_size": 0}, "expected pictures of 1 to 4096 pixels a side, found 0"),
        ("vit_tiny_patch16_224", {"input_size": -16}, "pixels a side, found -16"),
        ("vit_tiny_patch16_224", {"input_size": 65_536}, "pixels a side, found 65536"),
        ("vgg11", {"drop_path": 0.1}, "vgg11 cannot be built with drop_path_rate=0.1"),
        ("ViT-B-32", {"drop_path": 0.1}, "ViT-B-32 has no drop path"),
        ("convnext_atto", {"features": "tokens"}, "convnext_atto has no class token"),
        ("convnext_atto", {"features": "classes"}, "convnext_atto has no class token"),
        ("coca_ViT-B-32", {"features": "tokens"}, "no class token that can be seen apart"),
        ("ViT-B-16-SigLIP", {"features": "tokens"}, "no class token that can be seen apart"),
        ("ViT-B-32", {"features": "classes"}, "ViT-B-32 knows no classes"),
        ("vit_base_patch32_clip_224.openai", {"features": "classes"}, "knows 512 classes; expected ImageNet's 1000"),
        ("eva02_tiny_patch14_336", {"features": "classes"}, "does not tell classes by its class token"),
        ("cait_xxs24_224", {}, "is no image network with numbered blocks and a head"),
        ("coat_tiny", {}, "is no image network with numbered blocks and a head"),
        ("deepseek_vit_412m", {}, "sees pictures with a border around them"),
        ("vit_tiny_patch16_224", {"options": {"embed_dim": 32, "num_heads": 5}}, "cannot be built with embed_dim=32"),
        ("vit_tiny_patch16_224", {"options": {"dims": [3]}}, "cannot be built with dims=(3,)"),
        ("ViT-B-32", {"options": {"vision_cfg": {"layers": 2, "patch_size": 0}}}, "cannot be built"),
        ("ViT-B-32", {"options": {"vision_cfg": 3}}, "expected vision_cfg to be a table"),
        (
            "vit_tiny_patch16_224",
            {"options": {"embed_dim": 16_384, "depth": 32, "num_heads": 2}},
            "expected at most 10,000,000,000",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_once(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        build_backbone(name, **changes)


@pytest.mark.parametrize("value", [-1, 257, 1e300, float("nan"), "x", [1] * 17, [[1]], {"a": 1}])
def test_options_are_sizes(value: Any) -> None:
    with pytest.raises(
        DataError, match=r"options of vit_tiny_patch16_224: expected depth to be a number from 0 to 256"
    ):
        build_backbone("vit_tiny_patch16_224", options={"depth": value})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "vit_tiny_patch16_224",
            {"checkpoint_path": "x.pth"},
            "unknown option of vit_tiny_patch16_224 'checkpoint_path'",
        ),
        ("vit_tiny_patch16_224", {"dept": 3}, "'dept'; did you mean 'depth'"),
        (
            "ViT-B-32",
            {"vision_cfg": {"timm_model_pretrained": True}},
            "unknown option of ViT-B-32 'timm_model_pretrained'",
        ),
        ("ViT-B-32", {"pretrained": "x.pt"}, "unknown option of ViT-B-32 'pretrained'"),
    ],
)
def test_options_that_would_load_files_are_none(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        build_backbone(name, options=options)


def test_an_option_cannot_name_a_model_of_the_hub() -> None:
    options = {"vision_cfg": {"timm_model_name": "hf-hub:someone/something"}}
    with pytest.raises(DataError, match="expected timm_model_name to be"):
        build_backbone("ViT-B-16-SigLIP", options=options)


def test_features_of_other_kinds() -> None:
    backbones = {kind: VIT.backbone(features=kind) for kind in ("pooled", "tokens", "classes")}
    assert {kind: (one.size, one.class_size) for kind, one in backbones.items()} == {
        "pooled": (32, 0),
        "tokens": (64, 0),
        "classes": (1064, 1000),
    }
    state = backbones["classes"].network.state_dict()
    seen = {}
    for kind, backbone in backbones.items():
        backbone.network.load_state_dict({name: state[name] for name in backbone.network.state_dict()})
        with torch.inference_mode():
            seen[kind] = backbone.eval()(_pixels())
    torch.testing.assert_close(seen["classes"][:, :64], seen["tokens"])
    torch.testing.assert_close(seen["tokens"][:, :32], seen["pooled"])  # this network pools by its class token
    probabilities = seen["classes"][:, 64:].double().exp() - 1e-4
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2, dtype=torch.float64), atol=1e-4, rtol=0)


def test_features_of_a_clip_tower_have_unit_length_and_tokens_are_those_before_the_projection() -> None:
    pooled, tokens = CLIP.backbone().eval(), CLIP.backbone(features="tokens").eval()
    with torch.inference_mode():
        embedding, seen = pooled(_pixels()), tokens(_pixels())
        projected = seen[:, :32] @ tokens.network.proj
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(torch.nn.functional.normalize(projected, dim=1), embedding, atol=1e-5, rtol=1e-4)
    assert seen.shape == (2, 64)


def test_half_precision_gives_float32_features() -> None:
    backbone = VIT.backbone().eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert backbone(_pixels()).dtype == torch.float32


def test_no_drop_path_unless_it_is_asked_for() -> None:
    swin = FAMILIES["swin"].backbone().train()  # timm's own default for it is a tenth
    torch.testing.assert_close(swin(_pixels()), swin(_pixels()))
    dropping = FAMILIES["swin"].backbone(drop_path=0.9).train()
    torch.manual_seed(0)
    assert not torch.allclose(dropping(_pixels()), dropping(_pixels()))


@pytest.mark.parametrize("family", ["vit", "swin", "eva02", "clip", "siglip"])
def test_another_input_size_changes_what_depends_on_it(family: str) -> None:
    tiny = FAMILIES[family]
    side = 2 * tiny.input_size
    backbone = tiny.backbone(input_size=side).eval()
    assert backbone.preprocessing.input_size == side
    with torch.inference_mode():
        assert backbone(_pixels(side)).shape == (2, tiny.size)


def test_weights_of_a_file(tmp_path: Path) -> None:
    source = VIT.backbone(seed=1)
    path = _save({**source.network.state_dict(), "head.weight": torch.zeros(7, 32)}, tmp_path / "vit.safetensors")
    for weights in (path, str(tmp_path)):
        read = build_backbone(VIT.name, weights=weights, options=VIT.options)
        assert all(torch.equal(value, read.state_dict()[name]) for name, value in source.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "visual."])
def test_weights_of_a_whole_clip_model_without_its_text_tower(tmp_path: Path, prefix: str) -> None:
    source = CLIP.backbone(seed=1)
    state = {f"{prefix}{name}": value for name, value in source.network.state_dict().items()}
    text = {"token_embedding.weight": torch.zeros(2, 2)} if prefix else {}
    read = CLIP.backbone(weights=_save({**state, **text}, tmp_path / "clip.safetensors"))
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in source.state_dict().items())


def test_weights_of_our_own_folder(tmp_path: Path) -> None:
    from unprompt.models.regressors.regressor_network import HeadSpec

    network = VIT.network(HeadSpec("linear"), seed=1)
    read = VIT.backbone(weights=_save(network.state_dict(), tmp_path / "model.safetensors"))
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in network.backbone.state_dict().items())


@pytest.mark.parametrize("family", ["vit", "swin", "clip"])
def test_weights_of_the_native_size_are_made_to_fit_another(tmp_path: Path, family: str) -> None:
    tiny = FAMILIES[family]
    path = _save(dict(tiny.backbone(seed=1).network.state_dict()), tmp_path / "native.safetensors")
    larger = tiny.backbone(weights=path, input_size=64)
    assert larger.preprocessing.input_size == 64
    # and those of the other size as they are
    again = tiny.backbone(
        weights=_save(dict(larger.network.state_dict()), tmp_path / "larger.safetensors"), input_size=64
    )
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in larger.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm.weight": None, "norm.bias": None}, "missing: norm.weight, norm.bias"),
        ({"other.weight": torch.zeros(1)}, "unknown: other.weight"),
        ({"norm.bias": torch.zeros(31)}, r"of another shape: norm.bias (31,) in place of (32,)"),
    ],
)
def test_weights_of_another_network(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    state = {**VIT.backbone().network.state_dict(), **change}
    path = _save({name: value for name, value in state.items() if value is not None}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=re.escape(f"another network than {VIT.name}: {message}")):
        VIT.backbone(weights=path)


def test_weights_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected start weights, .* at .*nowhere; found none"):
        VIT.backbone(weights=str(tmp_path / "nowhere"))
    (tmp_path / "a.safetensors").write_bytes(b"junk")
    with pytest.raises(DataError, match="expected weights as a safetensors file"):
        VIT.backbone(weights=str(tmp_path))
    (tmp_path / "b.safetensors").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"found a\.safetensors, b\.safetensors"):
        VIT.backbone(weights=str(tmp_path))


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache in an empty folder; nothing is downloaded, see tests/conftest.py."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def _put(cache: Path, repository: str, file: str, tensors: dict[str, Any]) -> None:
    """A file as the hub's client leaves it there."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    commit = "0" * 40
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    _save(tensors, folder / "snapshots" / commit / file)


def test_hub_weights_that_are_not_here(hub_cache: Path) -> None:
    message = f"expected model.safetensors or pytorch_model.bin of timm/test_vit.r160_in1k in {hub_cache}"
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        build_backbone("test_vit.r160_in1k", weights="hub")
    assert "the network is off (HF_HUB_OFFLINE)" in str(caught.value)
    with pytest.raises(ModelError, match=r"ViT-B-32\.openai are not here: expected open_clip_model\.safetensors or"):
        build_backbone("ViT-B-32.openai", weights="hub")


def test_hub_weights_of_timm_in_the_cache(hub_cache: Path) -> None:
    source = build_backbone("test_vit.r160_in1k", features="classes")
    _put(hub_cache, "timm/test_vit.r160_in1k", "model.safetensors", dict(source.network.state_dict()))
    for features, side in (("pooled", None), ("classes", None), ("tokens", 192)):
        read = build_backbone("test_vit.r160_in1k", weights="hub", features=features, input_size=side)
        weight = "network.blocks.0.attn.qkv.weight"
        assert torch.equal(read.state_dict()[weight], source.state_dict()[weight])
        assert read.preprocessing.input_size == (side or 160)


def test_hub_weights_of_open_clip_in_the_cache(hub_cache: Path) -> None:
    source = CLIP.backbone(seed=1)
    state = {f"visual.{name}": value for name, value in source.network.state_dict().items()}
    state["logit_scale"] = torch.zeros(())
    _put(hub_cache, "timm/vit_base_patch32_clip_224.openai", "open_clip_model.safetensors", state)
    read = CLIP.backbone(weights="hub")
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in source.state_dict().items())


def test_options_survive_json() -> None:
    for tiny in FAMILIES.values():
        backbone = plan_backbone(tiny.name, options=json.loads(json.dumps(tiny.options)))
        assert backbone.options == tiny.options
