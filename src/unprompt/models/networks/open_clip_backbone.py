"""Image towers of open_clip: CLIP, SigLIP and CoCa, without their text towers (torch)."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.errors import DataError, ModelError
from unprompt.images.preprocess import Preprocessing
from unprompt.models.networks.backbone import Backbone, Features
from unprompt.models.networks.timm_backbone import block_key, native_size, resize_network
from unprompt.models.store.checkpoint import read_checkpoint
from unprompt.models.store.hub import hub_file

OPTIONS = ("embed_dim", "vision_cfg")
VISION_OPTIONS = (
    "attn_pooler_heads",
    "attn_pooler_queries",
    "head_width",
    "image_size",
    "layers",
    "mlp_ratio",
    "patch_size",
    "timm_model_name",
    "width",
)
"""The keys of a model's `vision_cfg` that change sizes."""

HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")

_NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 1, "heads": 1, "layers": 1}
"""The smallest text tower: open_clip cannot build a model without one, so it is built and dropped."""

TOWER = "visual."
"""The prefix of the image tower's names in a checkpoint of the whole model."""


class OpenClipBackbone(Backbone):
    """An image tower of open_clip. Raises DataError for options or features that the architecture does not support."""

    def __init__(self, name: str, *, features: Features, drop_path: float, options: Mapping[str, Any]) -> None:
        if features in ("classes", "layers"):
            raise DataError(f"{name} knows no classes; expected features = 'pooled' or 'tokens'")
        architecture, _, tag = name.partition(".")
        network = _create(architecture, tag, drop_path, options)
        if features == "tokens" and not _has_class_token(network):
            raise DataError(f"{name} has no class token that can be seen apart; expected features = 'pooled'")
        rules = preprocessing_of(tag_config(architecture, tag), native_side(network))
        super().__init__(name, network, features, options, rules)

    def resize(self, input_size: int) -> None:
        if trunk := _trunk(self.network):
            resize_network(trunk, input_size, self.name)
        elif input_size != native_side(self.network):
            _resize_tower(self.network, input_size, self.name)
        architecture, _, tag = self.name.partition(".")
        self.preprocessing = preprocessing_of(tag_config(architecture, tag), input_size)

    def start_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        tower = {name.removeprefix(TOWER): value for name, value in state.items() if name.startswith(TOWER)}
        return tower or dict(state)

    def hub_weights(self) -> Mapping[str, Tensor]:
        return hub_checkpoint(self.name)

    def _encode(self, pixels: Tensor) -> Tensor:
        network = cast(Any, self.network)
        if self.features == "tokens":
            seen = network.forward_intermediates(
                pixels,
                indices=1,
                normalize_intermediates=True,
                intermediates_only=True,
                output_fmt="NLC",
                output_extra_tokens=True,
            )
            (patches,), (prefix,) = seen["image_intermediates"], seen["image_intermediates_prefix"]
            return torch.cat([prefix[:, 0].float(), patches.float().mean(dim=1)], dim=1)
        embedding = network(pixels)
        if isinstance(embedding, tuple):  # CoCa's tower also returns its tokens
            embedding = embedding[0]
        return F.normalize(embedding.float(), dim=-1)

    def _block_key(self, parameter: str) -> tuple[int, ...] | None:
        part, _, rest = parameter.partition(".")
        if trunk := _trunk(self.network):
            return block_key(trunk, rest) if part == "trunk" else None
        if found := re.match(r"transformer\.resblocks\.(\d+)|layer(\d+)\.(\d+)", parameter):
            return tuple(int(number) for number in found.groups() if number)
        return None if part in ("ln_post", "proj", "attn_pool", "attn_pool_contrastive", "attnpool") else ()


def hub_checkpoint(name: str) -> dict[str, Tensor]:
    """Read the weights of the whole model, including the text tower. Raises ModelError if they are not available."""
    architecture, _, tag = name.partition(".")
    return read_checkpoint(hub_weights(architecture, tag))


def hub_weights(architecture: str, tag: str) -> Path:
    """Find or download the file with the whole model's weights. Raises ModelError if it is not available."""
    name = f"{architecture}.{tag}".rstrip(".")
    repository, _, file = tag_config(architecture, tag).get("hf_hub", "").rpartition("/")
    if not repository:
        raise ModelError(f"the hub has no weights of {name}; name a safetensors file that you have")
    return hub_file(repository, [file] if file else HUB_FILES, name)


def _trunk(tower: nn.Module) -> nn.Module | None:
    """The timm network inside a tower, or None."""
    return getattr(tower, "trunk", None)


def native_side(tower: nn.Module) -> int:
    """The side, in pixels, of the pictures that an image tower was built for."""
    if trunk := _trunk(tower):
        return native_size(trunk)
    size: Any = tower.image_size
    return int(size[0] if isinstance(size, tuple) else size)


def _has_class_token(tower: nn.Module) -> bool:
    from open_clip.transformer import VisionTransformer

    return isinstance(tower, VisionTransformer) and tower.attn_pool is None and not tower.final_ln_after_pool


def _resize_tower(tower: nn.Module, input_size: int, name: str) -> None:
    from open_clip.model import resize_pos_embed

    network = cast(Any, tower)
    if not hasattr(network, "positional_embedding"):
        raise DataError(f"{name} takes pictures of {native_side(tower)} pixels alone, not of {input_size}")
    patch = int(network.patch_size[0])
    if input_size % patch:
        raise DataError(f"{name} takes pictures whose side is a multiple of {patch} pixels, not of {input_size}")
    network.image_size = (input_size, input_size)
    network.grid_size = (input_size // patch, input_size // patch)
    state = {"visual.positional_embedding": network.positional_embedding.detach()}
    resize_pos_embed(state, SimpleNamespace(visual=network))
    network.positional_embedding = nn.Parameter(state["visual.positional_embedding"])


def _create(architecture: str, tag: str, drop_path: float, options: Mapping[str, Any]) -> nn.Module:
    import open_clip

    config = open_clip.get_model_config(architecture)
    assert config is not None  # `build_backbone` has looked the name up
    vision = {**config["vision_cfg"], **options.get("vision_cfg", {})}
    if drop_path:
        if "timm_model_name" not in vision:
            raise DataError(f"{architecture} has no drop path; expected drop_path = 0 with it")
        vision["timm_drop_path"] = drop_path
    sizes: dict[str, Any] = {"vision_cfg": vision, "text_cfg": _NO_TEXT}
    if "embed_dim" in options:
        sizes["embed_dim"] = options["embed_dim"]
    if "multimodal_cfg" in config:
        sizes["multimodal_cfg"] = _NO_TEXT
    if tag and tag_config(architecture, tag).get("quick_gelu"):  # OpenAI's activation, which later models dropped
        sizes["quick_gelu"] = True
    # open_clip builds on the device that it is given, so the caller's "meta" must be passed on.
    device = torch.get_default_device()
    try:
        with quiet():
            model = open_clip.create_model(
                architecture, load_weights=False, pretrained_text=False, device=device, **sizes
            )
    except Exception as error:  # constructors raise anything for sizes that do not fit together
        raise DataError(f"{architecture} cannot be built with {dict(options)}: {error}") from error
    return cast(nn.Module, model.visual)


def tag_config(architecture: str, tag: str) -> dict[str, Any]:
    """open_clip's config of a tag's weights or, without a tag, of the first that it lists; empty without any."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(architecture)
    tag = tag or next(iter(tags), "")
    return dict(open_clip.get_pretrained_cfg(architecture, tag) or {}) if tag else {}


def preprocessing_of(config: Mapping[str, Any], input_size: int) -> Preprocessing:
    """open_clip's preprocessing: from the config of the weights, and its defaults for what that omits."""
    from open_clip.transform import PreprocessCfg

    defaults = PreprocessCfg()
    return Preprocessing.from_config(
        {
            "input_size": input_size,
            "resize": config.get("resize_mode") or defaults.resize_mode,
            "interpolation": config.get("interpolation") or defaults.interpolation,
            "crop": "center",
            "mean": config.get("mean") or defaults.mean,
            "std": config.get("std") or defaults.std,
        }
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence open_clip's warnings about random weights, which would also set up logging for the whole process."""
    root, handler = logging.getLogger(), logging.NullHandler()
    disabled = logging.root.manager.disable
    root.addHandler(handler)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.removeHandler(handler)
