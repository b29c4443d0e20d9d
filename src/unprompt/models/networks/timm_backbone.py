"""Image networks of timm: ViT, Swin, VGG, ConvNeXt, EVA02 and any other with numbered blocks (torch)."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from unprompt.errors import DataError, ModelError
from unprompt.images.preprocess import Preprocessing
from unprompt.models.networks.backbone import CLASS_FLOOR, Backbone, Features
from unprompt.models.store.hub import hub_file

OPTIONS = (
    "class_token",
    "depth",
    "depths",
    "dims",
    "embed_dim",
    "embed_dims",
    "global_pool",
    "img_size",
    "init_values",
    "layers",
    "mlp_ratio",
    "num_heads",
    "patch_size",
    "reg_tokens",
    "window_size",
)
"""The arguments of timm's models that change sizes. Only these are passed on: others may name files to load."""

HUB_FILES = ("model.safetensors", "pytorch_model.bin")

IMAGENET_CLASSES = 1000

WITH_CLASSES = ("classes", "layers")
"""Features that include the log probabilities of the network's own classes."""

FOLLOWS = (99999,)
"""timm's marker for "belongs to the previous group", for norms after the last block."""


class TimmBackbone(Backbone):
    """A network of timm. Raises DataError for options or features that the architecture does not support."""

    def __init__(self, name: str, *, features: Features, drop_path: float, options: Mapping[str, Any]) -> None:
        network = _create(name, features, drop_path, options)
        super().__init__(name, network, features, options, _preprocessing(network, name))
        if features != "pooled":
            _check_class_token(network, name, features)
        if features in WITH_CLASSES:
            self.class_size = int(cast(Any, network).num_classes)
            if self.class_size != IMAGENET_CLASSES:
                raise DataError(f"{name} knows {self.class_size} classes; expected ImageNet's {IMAGENET_CLASSES}")

    def drop_patches(self, share: float) -> None:
        from timm.layers.patch_dropout import PatchDropout

        network = cast(Any, self.network)
        if not hasattr(network, "patch_drop"):
            super().drop_patches(share)
        network.patch_drop = PatchDropout(share, network.num_prefix_tokens)

    def resize(self, input_size: int) -> None:
        resize_network(self.network, input_size, self.name)
        self.preprocessing = _preprocessing(self.network, self.name, input_size)

    def start_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        heads = tuple(f"{name}." for name in classifiers(self.network))
        known = self.network.state_dict().keys()
        return {name: value for name, value in state.items() if name in known or not name.startswith(heads)}

    def hub_weights(self) -> Mapping[str, Tensor]:
        config = cast(Any, self.network).pretrained_cfg
        if not config.get("hf_hub_id"):
            raise ModelError(f"the hub has no weights of {self.name}; name a safetensors file that you have")
        names = [config["hf_hub_filename"]] if config.get("hf_hub_filename") else HUB_FILES
        hub_file(config["hf_hub_id"], names, self.name)
        # timm itself converts files that have outdated names.
        return _create(self.name, self.features, 0.0, self.options, pretrained=True).state_dict()

    def _encode(self, pixels: Tensor) -> Tensor:
        network = cast(Any, self.network)
        if self.features == "layers":
            return self._layers(pixels)
        maps = network.forward_features(pixels)
        if self.features == "pooled":
            return cast(Tensor, network.forward_head(maps, pre_logits=True))
        # Registers may follow the class token; they are not patches.
        tokens: Tensor = maps.float()  # (batch, prefix + patches, width)
        parts = [tokens[:, 0], tokens[:, network.num_prefix_tokens :].mean(dim=1)]
        if self.features == "classes":
            parts.append(self._classes(maps))
        return torch.cat(parts, dim=1)

    def _layers(self, pixels: Tensor) -> Tensor:
        """What a picture looks like is told by the layers before the last, whose features are for telling classes."""
        network = cast(Any, self.network)
        tokens = network.norm_pre(network.patch_drop(network._pos_embed(network.patch_embed(pixels))))
        parts = []
        for number, block in enumerate(network.blocks, 1):
            tokens = block(tokens)
            if number == len(network.blocks):
                tokens = network.norm(tokens)
            if number in self._taps:
                patches = tokens[:, network.num_prefix_tokens :].float()
                parts += [tokens[:, 0].float(), patches.mean(dim=1), patches.std(dim=1)]
        return torch.cat([*parts, self._classes(tokens)], dim=1)

    @property
    def _taps(self) -> set[int]:
        """The numbers of blocks after each quarter of them."""
        depth = len(cast(Any, self.network).blocks)
        return {math.ceil(depth * quarter / 4) for quarter in range(1, 5)}

    def _classes(self, tokens: Tensor) -> Tensor:
        classes = cast(Any, self.network).head(tokens[:, 0]).float().softmax(dim=-1)
        return cast(Tensor, (classes + CLASS_FLOOR).log())

    def _block_key(self, parameter: str) -> tuple[int, ...] | None:
        return block_key(self.network, parameter)


def classifiers(network: nn.Module) -> tuple[str, ...]:
    """The names of a timm network's classifier, even if it was removed; distilled networks have two."""
    named = cast(Any, network).pretrained_cfg.get("classifier") or "head"
    return (named,) if isinstance(named, str) else tuple(named)


def block_key(network: nn.Module, parameter: str) -> tuple[int, ...] | None:
    """The sort key of a parameter's block by timm's own grouping: () before the first block, None after the last."""
    if type(network).__name__ == "VGG":
        return _vgg_key(network, parameter)
    matcher = cast(Any, network).group_matcher(coarse=False)
    patterns = matcher["blocks"]
    for pattern, suffix in [(patterns, None)] if isinstance(patterns, str) else patterns:
        found = re.match(pattern, parameter)
        if found and suffix != FOLLOWS:
            return (*map(int, filter(None, found.groups())), *(suffix or ()))
    return () if re.match(matcher["stem"], parameter) else None


def _vgg_key(network: nn.Module, parameter: str) -> tuple[int, ...] | None:
    """A block is a convolution with the norm that follows; the perceptron before the head comes after all blocks."""
    part, number, *_ = parameter.split(".")
    if part != "features":
        return None
    layers = list(cast(Any, network).features)[: int(number) + 1]
    return (sum(isinstance(layer, nn.Conv2d) for layer in layers),)


def resize_network(network: nn.Module, input_size: int, name: str) -> None:
    """Change a timm network's input size, interpolating its position embeddings. Raises DataError if it cannot."""
    if input_size == native_size(network):
        return
    patches = getattr(network, "patch_embed", None)
    patch = int(patches.patch_size[0]) if patches is not None and hasattr(patches, "patch_size") else 1
    if input_size % patch:
        raise DataError(f"{name} takes pictures whose side is a multiple of {patch} pixels, not of {input_size}")
    if hasattr(network, "set_input_size"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about how timm interpolates Swin's position tables
            cast(Any, network).set_input_size(img_size=(input_size, input_size))
    elif cast(Any, network).pretrained_cfg.get("fixed_input_size"):
        raise DataError(f"{name} takes pictures of {native_size(network)} pixels alone, not of {input_size}")


def native_size(network: nn.Module) -> int:
    """The side in pixels of the pictures that a timm network was built for."""
    patches = getattr(network, "patch_embed", None)
    if patches is not None and getattr(patches, "img_size", None):
        return int(patches.img_size[0])
    return int(cast(Any, network).pretrained_cfg["input_size"][-1])


def _create(
    name: str, features: Features, drop_path: float, options: Mapping[str, Any], *, pretrained: bool = False
) -> nn.Module:
    import timm
    from timm.layers.drop import DropPath

    sizes: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    classes: dict[str, Any] = {} if features in WITH_CLASSES else {"num_classes": 0}
    if drop_path:
        sizes["drop_path_rate"] = drop_path
    try:
        network: nn.Module = timm.create_model(name, pretrained=pretrained, **classes, **sizes)
    except Exception as error:  # constructors raise anything for sizes that do not fit together
        given = ", ".join(f"{key}={value}" for key, value in sizes.items())
        raise DataError(f"{name} cannot be built with {given or 'its own sizes'}: {error}") from error
    if not drop_path:
        for module in network.modules():
            if isinstance(module, DropPath):
                module.drop_prob = 0.0  # Swin's default is 0.1
    matcher = cast(Any, network).group_matcher(coarse=False) if hasattr(network, "group_matcher") else None
    if (
        not isinstance(matcher, dict)
        or not {"stem", "blocks"} <= matcher.keys()
        or not hasattr(network, "forward_head")
    ):
        raise DataError(f"{name} is no image network with numbered blocks and a head, which a backbone has to be")
    return network


def _check_class_token(network: nn.Module, name: str, features: Features) -> None:
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    if not isinstance(network, (VisionTransformer, Eva)) or network.cls_token is None:
        raise DataError(f"{name} has no class token; expected features = 'pooled' with it")
    if features == "layers" and not isinstance(network, VisionTransformer):
        raise DataError(f"{name} is no plain vision transformer; expected features = 'classes' with it")
    if features in WITH_CLASSES and network.global_pool != "token":
        raise DataError(f"{name} does not tell classes by its class token; expected features = 'pooled' or 'tokens'")


def _preprocessing(network: nn.Module, name: str, input_size: int | None = None) -> Preprocessing:
    config = cast(Any, network).pretrained_cfg
    resize = {"center": "shortest", "squash": "squash"}.get(config.get("crop_mode") or "center")
    if resize is None:
        raise DataError(f"{name} sees pictures with a border around them (crop mode {config['crop_mode']!r})")
    return Preprocessing.from_config(
        {
            "input_size": input_size or native_size(network),
            "resize": resize,
            "interpolation": config["interpolation"],
            "crop": "center",
            "mean": config["mean"],
            "std": config["std"],
            "crop_share": config.get("crop_pct") or 1.0,
        }
    )
