"""Converts another program's checkpoint of a regressor to a model folder (torch)."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.images.preprocess import PUBLISHED_VIT, Preprocessing
from unprompt.models.networks.backbones import build_backbone, plan_backbone
from unprompt.models.networks.start_weights import differences, not_finite
from unprompt.models.networks.timm_backbone import TimmBackbone, classifiers
from unprompt.models.regressors.regressor_network import HeadSpec, RegressorNetwork
from unprompt.models.regressors.torch_folder import save_network
from unprompt.models.store.checkpoint import read_checkpoint
from unprompt.models.store.folder import CONFIG, ModelFolder, file_sha256
from unprompt.models.store.registry import LOCAL
from unprompt.prediction import EMBEDDING_SIZE

PUBLISHED, MODELS_OWN = "published", "model"

FAMILIES = {
    "features.0.weight": r"vgg\d+(_bn)?",
    "stages.0.blocks.0.conv_dw.weight": r"convnext_[a-z]+",
    "layers.0.blocks.0.attn.qkv.weight": r"swin_[a-z]+_patch4_window\d+_\d+",
    "blocks.0.mlp.fc1_g.weight": r"eva02_{width}_patch\d+_\d+",
    "blocks.0.attn.qkv.weight": r"vit_{width}_patch\d+_\d+",
}
"""For each family of timm, a weight that identifies it and a pattern for the names of its plain architectures."""

WIDTHS = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}
"""The names for widths of vision transformers, so that only one width needs to be tried."""


_OWN = "backbone.network."
"""What the names of weights begin with that unprompt trained."""


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion. `tensors` is the number of tensors in the file, `head` the classifier's name."""

    folder: ModelFolder
    tensors: int
    head: str
    preprocessing: Preprocessing


def convert_checkpoint(
    path: Path, folder: Path, *, architecture: str, preprocessing: str, name: str, licence: str
) -> Conversion:
    """Write the model folder of a timm network with a 384-way classifier, such as the published ensemble's ViT.

    `preprocessing` is that of the network's training: "published", "model" (timm's for the architecture), or the path
    of a JSON file with it. No code in `path` is run. Raises DataError for a checkpoint of another network,
    UnknownNameError for an architecture unknown to timm, ModelError if `folder` is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"expected a new folder, found {folder}; remove it or choose another")
    state = _todays_names(read_checkpoint(path))
    _check_foreign(state, path)
    plan = plan_backbone(architecture)
    if not isinstance(plan, TimmBackbone):
        raise DataError(f"expected an architecture of timm, found {architecture}, which is one of open_clip")
    seen = read_preprocessing(preprocessing, plan.preprocessing)
    plan.resize(seen.input_size)
    head, weight, bias = _take_head(state, plan, path)
    if faults := differences(plan.network.state_dict(), state):
        raise DataError(
            f"{path} holds no {architecture} for {seen.input_size} pixels: {faults}{_hint(state, architecture)}"
        )
    if not_finite({head: weight, "bias": bias}):
        raise DataError(f"{path} is damaged: {head} holds numbers that are not finite")
    network = RegressorNetwork(
        build_backbone(architecture, input_size=seen.input_size), HeadSpec("linear", standardise=False)
    )
    network.backbone.network.load_state_dict(state)
    network.head.load_state_dict({"linear.1.weight": weight, "linear.1.bias": bias})
    origin = f"converted from {path.name}, sha256 {file_sha256(path)}"
    saved = save_network(
        network,
        folder,
        name=name,
        preprocessing=seen,
        licence=licence,
        origin=origin,
        score={},
        card=_card(name, architecture, origin, licence, seen),
        every_pixel=True,
    )
    return Conversion(saved, len(state) + 2, head, seen)


def read_preprocessing(chosen: str, models_own: Preprocessing) -> Preprocessing:
    """Choose the preprocessing "published" or "model", or read a JSON file.

    Raises UnknownNameError, DataError, ModelError.
    """
    if chosen == PUBLISHED:
        return PUBLISHED_VIT
    if chosen == MODELS_OWN:
        return models_own
    if not Path(chosen).exists() and not chosen.endswith(".json"):
        raise UnknownNameError("preprocessing", chosen, (PUBLISHED, MODELS_OWN, "a JSON file"))
    try:
        rules = json.loads(Path(chosen).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"expected a JSON file with the preprocessing at {chosen}: {reason}") from error
    if isinstance(rules, dict) and isinstance(rules.get("preprocessing"), dict):  # a model's whole config
        rules = rules["preprocessing"]
    if not isinstance(rules, dict):
        raise DataError(f"expected the preprocessing in {chosen} as a JSON object")
    return Preprocessing.from_config(rules)


def _check_foreign(state: Mapping[str, Tensor], path: Path) -> None:
    """Raise DataError for what `unprompt train` wrote, whose run holds a model folder of it already."""
    if not any(name.startswith(_OWN) for name in state):
        return
    folders = (folder for folder in (path.with_suffix(""), path.parent) if (folder / CONFIG).exists())
    folder = next(folders, None)
    way = (
        "the folder of its run holds a model folder of it, best"
        if folder is None
        else f'its model folder is {folder}; in a preset: kind = "regressor", model = "{LOCAL}{folder}"'
    )
    source = "RUN" if folder is None else folder if folder == path.parent else path.parent
    raise DataError(
        f"expected a checkpoint of another program, found weights that unprompt trained, {path}: {way}; "
        f"ONNX weights, which need no torch: unprompt models export {source} FOLDER"
    )


def _todays_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename Swin's weights from timm before 0.9 to the names of today; others stay."""
    if "layers.0.downsample.reduction.weight" not in state:
        return state
    renamed = {}
    for name, value in state.items():
        if not name.endswith(("relative_position_index", "attn_mask")):  # computed today, no longer saved
            moved = re.sub(r"^layers\.(\d+)\.downsample", lambda part: f"layers.{int(part[1]) + 1}.downsample", name)
            renamed[re.sub(r"^head\.(?!fc\.)", "head.fc.", moved)] = value
    return renamed


def _take_head(state: dict[str, Tensor], plan: TimmBackbone, path: Path) -> tuple[str, Tensor, Tensor]:
    """Remove the classifier from `state`; returns its name, weight (384, size) and bias (384,)."""
    (name, *_) = classifiers(plan.network)
    weight = state.pop(f"{name}.weight", None)
    if weight is None:
        raise DataError(
            f"expected the weights of a {plan.name} with its head {name}.weight in {path}, found none"
            f"{_hint(state, plan.name)}"
        )
    bias = state.pop(f"{name}.bias", torch.zeros(EMBEDDING_SIZE))
    # Old files of timm's VGG store a linear map as a 1 x 1 convolution.
    weight = weight.flatten(1) if weight.ndim == 4 else weight
    if tuple(weight.shape) != (EMBEDDING_SIZE, plan.size) or tuple(bias.shape) != (EMBEDDING_SIZE,):
        raise DataError(
            f"expected a head of {EMBEDDING_SIZE} outputs, a prompt's vector, for the {plan.size} features of "
            f"{plan.name}; {path} has {name}.weight {tuple(weight.shape)}{_hint(state, plan.name)}"
        )
    return name, weight, bias


def _hint(state: Mapping[str, Tensor], architecture: str) -> str:
    """Name the plain architecture whose names and shapes match, without heads; "" if there is none."""
    import timm

    names = _plain_names(state)
    for name in sorted(names, key=lambda name: -difflib.SequenceMatcher(None, name, architecture).ratio()):
        with torch.device("meta"):
            network = timm.create_model(name, num_classes=0)
        heads = tuple(f"{head}." for head in classifiers(network))
        if not differences(network.state_dict(), {key: state[key] for key in state if not key.startswith(heads)}):
            return f"; the weights are those of {name}"
    return ""


def _plain_names(state: Mapping[str, Tensor]) -> list[str]:
    """The names of the plain architectures in the family that a state belongs to."""
    import timm

    for weight, pattern in FAMILIES.items():
        if weight in state:
            width = (0, *state[weight].shape)[-1]
            pattern = pattern.replace("{width}", WIDTHS.get(width, "-"))
            return [name for name in timm.list_models() if re.fullmatch(pattern, name)]
    return []


def _card(name: str, architecture: str, origin: str, licence: str, preprocessing: Preprocessing) -> str:
    rules = json.dumps(preprocessing.to_config(), indent=2)
    return (
        f"# {name}\n\nA picture becomes the vector of its prompt: {architecture} of timm with a linear head of "
        f"{EMBEDDING_SIZE} outputs,\n{origin}. Licence: {licence}.\n\nIt sees pictures so:\n\n```json\n{rules}\n```\n"
    )


def describe(conversion: Conversion) -> list[str]:
    """Describe a conversion in lines for the user."""
    config = conversion.folder.config
    seen = conversion.preprocessing
    crop = f", the middle {seen.crop_share:g} of the side" if seen.crop_share < 1 else ""
    return [
        f"read {conversion.tensors} tensors, {config['sizes']['parameters']:,} numbers; nothing in the file was run",
        f"architecture: {config['architecture']}; {conversion.head} became a linear head of {EMBEDDING_SIZE} outputs",
        f"preprocessing: {seen.resize} to {seen.input_size} pixels, {seen.interpolation}{crop}, "
        f"mean {_listed(seen.mean)}, std {_listed(seen.std)}",
    ]


def _listed(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:g}" for number in numbers)
