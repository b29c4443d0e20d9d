"""A checkpoint from elsewhere becomes a model folder that answers as the original does."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unprompt.errors import DataError, ModelError, UnknownNameError, UnpromptError
from unprompt.images.decode import Picture, decode
from unprompt.images.preprocess import PUBLISHED_VIT, preprocess
from unprompt.images.sources import image_refs
from unprompt.members.regressor import Regressor
from unprompt.models.networks.torchvision_cure import cure_torchvision

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from unprompt.models.regressors.conversion import Conversion, convert_checkpoint, describe  # noqa: E402

cure_torchvision()
timm = pytest.importorskip("timm")

# timm's own networks for its tests; their native pictures have 160 pixels.
ARCHITECTURES = ("test_vit", "test_convnext", "test_efficientnet")


def _original(architecture: str = "test_vit", **changes: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model(architecture, num_classes=384, **changes).eval()


def _file(tmp_path: Path, model: Any, prefix: str = "_orig_mod.") -> Path:
    path = tmp_path / "elsewhere.pth"
    torch.save({"state_dict": {f"{prefix}{name}": value for name, value in model.state_dict().items()}}, path)
    return path


def _convert(path: Path, folder: Path, **changes: Any) -> Conversion:
    told = {"architecture": "test_vit", "preprocessing": "model", "name": folder.name, "licence": "MIT"}
    return convert_checkpoint(path, folder, **{**told, **changes})


@pytest.fixture
def picture(examples: Path) -> Picture:
    (ref,) = image_refs([str(examples / "astronaut.jpg")])
    decoded = decode(ref)
    assert isinstance(decoded, Picture)
    return decoded


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_answers_as_the_original(architecture: str, tmp_path: Path, picture: Picture) -> None:
    original = _original(architecture)
    done = _convert(_file(tmp_path, original), tmp_path / "new", architecture=architecture)
    member = Regressor(done.folder, name="new", weight=1.0, threads=1)
    (vote,) = member.vote([picture])
    with torch.inference_mode():
        expected = original(torch.from_numpy(preprocess(picture.pixels, done.preprocessing))[None])[0].numpy()
    np.testing.assert_allclose(vote.vector, expected / np.linalg.norm(expected), atol=1e-6)  # type: ignore[arg-type]
    assert member.shorter_side is None  # it is shown every pixel, as it was when it was trained


def test_the_published_members_own_preprocessing(tmp_path: Path) -> None:
    done = _convert(_file(tmp_path, _original(img_size=224)), tmp_path / "new", preprocessing="published")
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert done.preprocessing == PUBLISHED_VIT
    assert config["preprocessing"] == PUBLISHED_VIT.to_config()
    assert (config["name"], config["licence"], config["architecture"]) == ("new", "MIT", "test_vit")
    assert re.fullmatch(r"converted from elsewhere\.pth, sha256 [0-9a-f]{64}", config["origin"])
    said = "\n".join(describe(done))
    assert "shortest to 224 pixels, bilinear, mean 0.485 0.456 0.406, std 0.229 0.224 0.225" in said
    assert "head became a linear head of 384 outputs" in said


@pytest.mark.parametrize("whole_config", [True, False])
def test_preprocessing_of_a_file(tmp_path: Path, whole_config: bool) -> None:
    rules = {**PUBLISHED_VIT.to_config(), "input_size": 160, "resize": "squash"}
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"name": "x", "preprocessing": rules} if whole_config else rules))
    done = _convert(_file(tmp_path, _original()), tmp_path / "new", preprocessing=str(path))
    assert done.preprocessing.to_config() == rules


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (None, UnknownNameError, "unknown preprocessing 'publishd'; did you mean 'published'"),
        ("{", DataError, "expected a JSON file with the preprocessing"),
        ("[1]", DataError, "as a JSON object"),
        ("{}", ModelError, "preprocessing lacks"),
    ],
)
def test_preprocessing_that_is_none(
    tmp_path: Path, content: str | None, kind: type[UnpromptError], message: str
) -> None:
    chosen = "publishd"
    if content is not None:
        (tmp_path / "rules.json").write_text(content)
        chosen = str(tmp_path / "rules.json")
    with pytest.raises(kind, match=message):
        _convert(_file(tmp_path, _original()), tmp_path / "new", preprocessing=chosen)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head.weight": None}, "with its head head.weight"),
        (
            {"head.weight": torch.zeros(1000, 64)},
            "expected a head of 384 outputs, a prompt's vector, for the 64 features",
        ),
        ({"head.bias": torch.zeros(3)}, "expected a head of 384 outputs"),
        ({"norm.bias": None, "norm.weight": None}, "holds no test_vit for 160 pixels: missing: norm.weight, norm.bias"),
        ({"more": torch.zeros(1)}, "holds no test_vit for 160 pixels: unknown: more"),
        ({"norm.bias": torch.zeros(65)}, "of another shape: norm.bias (65,) in place of (64,)"),
        ({"norm.bias": torch.full((64,), torch.nan)}, "holds no test_vit for 160 pixels: not finite: norm.bias"),
        ({"head.weight": torch.full((384, 64), torch.inf)}, "is damaged: head holds numbers that are not finite"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    model = _original()
    state = {name: value for name, value in {**model.state_dict(), **change}.items() if value is not None}
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(DataError, match=re.escape(message)):
        _convert(tmp_path / "broken.pth", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_unprompt_trained_itself_is_a_model_already(tmp_path: Path) -> None:
    made = _convert(_file(tmp_path, _original()), tmp_path / "run" / "best").folder.path
    weights = made / "model.safetensors"
    run_file = shutil.copy(weights, tmp_path / "run" / "best.safetensors")
    for path, source in ((weights, made), (run_file, tmp_path / "run")):
        told = f'model = "local:{made}"; ONNX weights, which need no torch: unprompt models export {source} FOLDER'
        with pytest.raises(DataError, match=re.escape(told)):
            _convert(path, tmp_path / "new")
    lone = shutil.copy(weights, tmp_path / "lone.safetensors")
    with pytest.raises(DataError, match="unprompt models export RUN FOLDER"):
        _convert(lone, tmp_path / "new")


def test_pictures_of_another_size_are_not_made_to_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no test_vit for 224 pixels: of another shape: pos_embed"):
        _convert(_file(tmp_path, _original()), tmp_path / "new", preprocessing="published")


@pytest.mark.parametrize(
    ("asked", "actual"),
    [("vit_small_patch16_224", "vit_tiny_patch16_224"), ("swin_tiny_patch4_window7_224", "convnext_atto")],
)
def test_another_architecture_is_recognised(tmp_path: Path, asked: str, actual: str) -> None:
    with pytest.raises(DataError, match=f"the weights are those of {actual}"):
        _convert(_file(tmp_path, _original(actual)), tmp_path / "new", architecture=asked)


def test_a_convolution_of_one_pixel_is_a_linear_head_as_well(tmp_path: Path) -> None:
    state = _original().state_dict()
    torch.save({**state, "head.weight": state["head.weight"][:, :, None, None]}, tmp_path / "old.pth")
    done = _convert(tmp_path / "old.pth", tmp_path / "new")
    assert done.folder.name == "new"


def test_a_swin_of_timm_before_0_9(tmp_path: Path, picture: Picture) -> None:
    original = _original("swin_tiny_patch4_window7_224")
    old = {
        re.sub(r"layers\.(\d)\.downsample", lambda part: f"layers.{int(part[1]) - 1}.downsample", name).replace(
            "head.fc.", "head."
        ): value
        for name, value in original.state_dict().items()
    }
    old["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49, dtype=torch.long)
    old["layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    torch.save({"model": old}, tmp_path / "old.pth")
    done = _convert(tmp_path / "old.pth", tmp_path / "new", architecture="swin_tiny_patch4_window7_224")
    (vote,) = Regressor(done.folder, name="new", weight=1.0, threads=1).vote([picture])
    with torch.inference_mode():
        expected = original(torch.from_numpy(preprocess(picture.pixels, done.preprocessing))[None])[0].numpy()
    np.testing.assert_allclose(vote.vector, expected / np.linalg.norm(expected), atol=1e-6)  # type: ignore[arg-type]


def test_names_that_nothing_goes_by(tmp_path: Path) -> None:
    path = _file(tmp_path, _original())
    with pytest.raises(UnknownNameError, match="unknown backbone 'test_vitt'"):
        _convert(path, tmp_path / "new", architecture="test_vitt")
    with pytest.raises(DataError, match=r"expected an architecture of timm, found ViT-B-32"):
        _convert(path, tmp_path / "new", architecture="ViT-B-32")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    path = _file(tmp_path, _original())
    _convert(path, tmp_path / "new")
    with pytest.raises(ModelError, match="expected a new folder, found"):
        _convert(path, tmp_path / "new")
