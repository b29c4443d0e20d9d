"""Builds an image network without a head by its name in timm or open_clip (torch)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from unprompt.errors import DataError, MissingExtraError, UnknownNameError
from unprompt.images.preprocess import LARGEST_INPUT
from unprompt.models.networks import open_clip_backbone, timm_backbone
from unprompt.models.networks.backbone import FEATURES, Backbone, Features, measure
from unprompt.models.networks.open_clip_backbone import OpenClipBackbone
from unprompt.models.networks.start_weights import find_weights, put_weights, read_weights
from unprompt.models.networks.timm_backbone import TimmBackbone
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.models.store.weights import HUB, RANDOM

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})

_LARGEST_NUMBER = 16_384  # for any number in the options: wider than every existing network
_DEEPEST = 256  # blocks, which take time to build even without memory
_LONGEST_LIST = 16


def build_backbone(
    name: str,
    *,
    weights: str = RANDOM,
    features: Features = "pooled",
    input_size: int | None = None,
    drop_path: float = 0.0,
    options: Mapping[str, Any] = NO_OPTIONS,
) -> Backbone:
    """Build a network of timm or open_clip by the name `architecture` or `architecture.tag`; timm's comes first.

    `weights` is "random", "hub" (those of the tag, from the cache or, if downloads are allowed, the hub), or the path
    of a safetensors file or of a folder with one. `features` is "pooled", the model's own pooling (open_clip: the
    projected embedding at unit length); "tokens", the class token and the mean of the patches; "classes", these and the
    log probabilities of the model's own classes; or "layers", the class token and the patches' mean and deviation after
    each quarter of the blocks, and the classes. `input_size` is in pixels, by default the model's native size.
    `options` are sizes that differ from the architecture's, such as depth and embed_dim in timm, embed_dim and
    vision_cfg in open_clip.

    Raises UnknownNameError for an unknown name or option, DataError if sizes or weights do not fit together, ModelError
    if the weights are not available, MissingExtraError without the extra [torch].
    """
    plan = plan_backbone(name, features=features, input_size=input_size, drop_path=drop_path, options=options)
    backbone = type(plan)(name, features=features, drop_path=drop_path, options=plan.options)
    side = plan.preprocessing.input_size
    if weights == RANDOM:
        backbone.resize(side)
    elif weights == HUB:
        put_weights(backbone, backbone.hub_weights(), f"the hub's {name}", side)
    else:
        put_weights(backbone, read_weights(find_weights(Path(weights))), weights, side)
    backbone.size = plan.size
    return backbone


def plan_backbone(
    name: str,
    *,
    features: Features = "pooled",
    input_size: int | None = None,
    drop_path: float = 0.0,
    options: Mapping[str, Any] = NO_OPTIONS,
) -> TimmBackbone | OpenClipBackbone:
    """Build the same network on the device "meta": sizes and names without weights, at no cost.

    Parameters and errors are those of `build_backbone`.
    """
    if features not in FEATURES:
        raise UnknownNameError("features", features, FEATURES)
    if input_size is not None and not 0 < input_size <= LARGEST_INPUT:
        raise DataError(f"expected pictures of 1 to {LARGEST_INPUT} pixels a side, found {input_size}")
    kind = _kind_of(name)
    with torch.device("meta"):
        plan = kind(name, features=features, drop_path=drop_path, options=_checked_options(name, options, kind))
        plan.resize(plan.preprocessing.input_size if input_size is None else input_size)
        plan.size = measure(plan)
    return plan


def _kind_of(name: str) -> type[TimmBackbone | OpenClipBackbone]:
    """Find the library that knows the name. Raises UnknownNameError with similar names from both."""
    cure_torchvision()
    try:
        import timm

        architecture, _, tag = name.partition(".")
        if timm.is_model(architecture) and (not tag or tag in _timm_tags(architecture)):
            return TimmBackbone
        import open_clip
    except ModuleNotFoundError as error:
        raise MissingExtraError("an image backbone", "torch") from error
    if architecture in open_clip.list_models():
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        if not tag or tag in tags:
            return OpenClipBackbone
        raise UnknownNameError(f"tag of {architecture}", tag, [*tags, *_timm_tags(architecture)])
    if timm.is_model(architecture):
        raise UnknownNameError(f"tag of {architecture}", tag, _timm_tags(architecture))
    near = [
        found
        for known in (timm.list_models(), open_clip.list_models())
        for found in difflib.get_close_matches(architecture, known, n=3, cutoff=0.5)
    ]
    raise UnknownNameError("backbone", name, near or ("vit_base_patch16_224", "ViT-L-14-336.openai"))


def _timm_tags(architecture: str) -> list[str]:
    import timm

    return [name.partition(".")[2] for name in timm.list_models(f"{architecture}.*", pretrained=True)]


def _checked_options(
    name: str, options: Mapping[str, Any], kind: type[TimmBackbone | OpenClipBackbone]
) -> dict[str, Any]:
    """Check that all options are sizes, since they come from recipes and untrusted model folders."""
    if kind is TimmBackbone:
        _check_sizes(name, options, timm_backbone.OPTIONS)
        return dict(options)
    _check_sizes(
        name, {key: value for key, value in options.items() if key != "vision_cfg"}, open_clip_backbone.OPTIONS
    )
    vision = options.get("vision_cfg", {})
    if not isinstance(vision, Mapping):
        raise DataError(f"options of {name}: expected vision_cfg to be a table of sizes, found {vision!r}")
    _check_sizes(name, vision, open_clip_backbone.VISION_OPTIONS)
    return {**options, "vision_cfg": dict(vision)} if vision else dict(options)


def _check_sizes(name: str, options: Mapping[str, Any], known: Iterable[str]) -> None:
    for key, value in options.items():
        if key not in known:
            raise UnknownNameError(f"option of {name}", key, known)
        values = value if isinstance(value, (list, tuple)) else [value]
        largest = _DEEPEST if key in ("depth", "depths", "layers") else _LARGEST_NUMBER
        if len(values) > _LONGEST_LIST or not all(_is_size(key, item, largest) for item in values):
            raise DataError(
                f"options of {name}: expected {key} to be a number from 0 to {largest}, or a list of at most "
                f"{_LONGEST_LIST}, found {value!r}"
            )


def _is_size(key: str, value: Any, largest: int) -> bool:
    if isinstance(value, str):
        return key == "global_pool" or (key == "timm_model_name" and _is_timm_model(value))
    return value is None or (isinstance(value, (bool, int, float)) and 0 <= value <= largest)


def _is_timm_model(name: str) -> bool:
    """Whether it is the plain name of an architecture; timm would look up any other on the hub."""
    import timm

    return bool(timm.is_model(name))
