"""Building whole open_clip models, both towers (torch)."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from unprompt.errors import DataError, MissingExtraError, ModelError, UnknownNameError
from unprompt.models.networks.open_clip_backbone import VISION_OPTIONS, hub_weights, quiet, tag_config
from unprompt.models.networks.start_weights import differences, find_weights, read_weights
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.models.store.checkpoint import read_checkpoint
from unprompt.models.store.folder import file_sha256
from unprompt.models.store.weights import HUB, RANDOM

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
TEXT_OPTIONS = ("context_length", "heads", "layers", "mlp_ratio", "vocab_size", "width")
"""The keys of a model's `text_cfg` that set sizes."""

Precision = Literal["fp32", "fp16"]

_STALE = "text.transformer.embeddings.position_ids"
"""A buffer in old files with a text tower of transformers, which removed it in version 4.31."""

_SAMPLE, _SAMPLED_EVERY = 1 << 10, 1 << 16  # bytes per sample of a tensor, and between the starts of samples

_LARGEST_NUMBER = 1 << 20  # of any option: beyond every existing vocabulary and width


def split_name(name: str) -> tuple[str, str]:
    """Split `architecture.tag`, or CLIP Interrogator's `architecture/tag`, into its parts; the tag may be "".

    Raises UnknownNameError with the nearest names if open_clip does not know them, MissingExtraError without open_clip.
    """
    cure_torchvision()
    try:
        import open_clip
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"the model {name}", "torch") from error
    architecture, _, tag = (name if "." in name else name.replace("/", ".", 1)).partition(".")
    known = open_clip.list_models()
    if architecture not in known:
        near = difflib.get_close_matches(architecture, known, n=3, cutoff=0.4)
        raise UnknownNameError("CLIP model", architecture, near or ("ViT-L-14.openai", "ViT-H-14.laion2b_s32b_b79k"))
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag and tag not in tags:
        raise UnknownNameError(f"tag of {architecture}", tag, tags)
    return architecture, tag


def build_model(
    name: str,
    *,
    weights: str = HUB,
    options: Mapping[str, Any] = NO_OPTIONS,
    precision: Precision = "fp32",
) -> nn.Module:
    """Build an open_clip model on the CPU, in evaluation mode; a file of weights is memory-mapped.

    `weights`: "hub" (those of the tag), "random", or the path of a safetensors file of the whole model or of a folder
    with one. `options` override sizes of the architecture: embed_dim, text_cfg and vision_cfg. "fp16" is open_clip's
    mixed precision for GPUs, which keeps norms in float32.

    Raises UnknownNameError for an unknown name or option, DataError for sizes or weights that do not fit, ModelError
    for weights that are not available.
    """
    architecture, tag = split_name(name)
    if weights == RANDOM:
        return _create(name, architecture, tag, weights, options, precision).eval()
    file = weights_file(name, weights)
    # Initialising weights that are then replaced takes seconds, for a large model longer than everything else.
    with torch.device("meta"):
        model = _create(name, architecture, tag, weights, options, precision)
    _fill(model, name, file)
    if not _made_whole(model):  # some tensor is neither a weight nor a mask
        model = _create(name, architecture, tag, weights, options, precision)
        _fill(model, name, file)
    return model.eval()


def weights_file(name: str, weights: str) -> Path:
    """The file with the weights. Raises ModelError if the hub's is not available, DataError if a path holds none."""
    return hub_weights(*split_name(name)) if weights == HUB else find_weights(Path(weights))


def weights_identity(weights: Path | nn.Module) -> str:
    """A hash, 12 hexadecimal digits, that changes with the weights of a file or of a model.

    For files in the hub's cache it is taken from the name of the blob that the link points to.
    """
    if isinstance(weights, nn.Module):
        return _model_sha256(weights)[:12]
    blob = weights.resolve()
    if blob.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", blob.name):
        return blob.name[:12]
    return file_sha256(blob)[:12]


def model_config(architecture: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's config of a known architecture, with `options` applied. Raises UnknownNameError or DataError."""
    import open_clip

    config: dict[str, Any] = open_clip.get_model_config(architecture)
    known = {"embed_dim": (), "text_cfg": TEXT_OPTIONS, "vision_cfg": VISION_OPTIONS}
    for key, value in options.items():
        if key not in known:
            raise UnknownNameError(f"option of {architecture}", key, known)
        if not known[key]:
            _check_size(architecture, key, value)
        elif not isinstance(value, Mapping):
            raise DataError(f"options of {architecture}: expected {key} to be a table of sizes, found {value!r}")
        else:
            for inner, size in value.items():
                if inner not in known[key]:
                    raise UnknownNameError(f"option of {architecture}", inner, known[key])
                _check_size(architecture, inner, size)
            value = {**config[key], **value}
        config[key] = value
    # Otherwise towers of other libraries would download their own initial weights.
    config["vision_cfg"]["timm_model_pretrained"] = config["text_cfg"]["hf_model_pretrained"] = False
    return config


def _check_size(architecture: str, key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LARGEST_NUMBER:
        raise DataError(
            f"options of {architecture}: expected {key} to be a number from 0 to {_LARGEST_NUMBER}, found {value!r}"
        )


def _create(
    name: str,
    architecture: str,
    tag: str,
    weights: str,
    options: Mapping[str, Any],
    precision: Precision,
) -> nn.Module:
    import open_clip

    config = model_config(architecture, options)
    sizes = {key: config[key] for key in ("embed_dim", "text_cfg", "vision_cfg")}
    if (tag or weights == HUB) and tag_config(architecture, tag).get("quick_gelu"):  # OpenAI's; others dropped it
        sizes["quick_gelu"] = True
    try:
        with quiet():
            model = open_clip.create_model(
                architecture,
                load_weights=False,
                pretrained_text=False,
                precision=precision,
                device=torch.get_default_device(),  # may be "meta"; open_clip's default is the CPU
                **sizes,
            )
    except OSError as error:  # the config of a text tower of transformers is on the hub
        raise ModelError(f"the text tower of {name} cannot be had: {error}") from error
    except Exception as error:  # anything that a constructor may raise for sizes that do not fit together
        raise DataError(f"{name} cannot be built with {dict(options)}: {error}") from error
    return cast(nn.Module, model)


def _fill(model: nn.Module, name: str, file: Path) -> None:
    found = dict(read_weights(file) if file.suffix == ".safetensors" else read_checkpoint(file))
    expected = model.state_dict()
    if _STALE not in expected:
        found.pop(_STALE, None)
    if faults := differences(expected, found):
        raise DataError(f"{file} does not hold the whole of {name}: {faults}")
    model.load_state_dict({key: value.to(expected[key].dtype) for key, value in found.items()}, assign=True)


def _made_whole(model: nn.Module) -> bool:
    """Create the causal masks of a model built on the device "meta"; whether no tensor is left there."""
    for module in model.modules():
        mask = getattr(module, "attn_mask", None)
        if isinstance(mask, Tensor) and mask.is_meta:
            module.attn_mask = torch.full(mask.shape, -torch.inf, dtype=mask.dtype).triu_(1)
    return not any(value.is_meta for value in (*model.parameters(), *model.buffers()))


def _model_sha256(model: nn.Module) -> str:
    """Hash samples of each tensor and the sum of its words: any change shows, faster than by hashing it all."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        words = content[: len(content) // 8 * 8].view("<u8")
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} {words.sum(dtype=np.uint64)}\n".encode())
        digest.update(content[len(words) * 8 :].data)
        for at in range(0, len(content), _SAMPLED_EVERY):
            digest.update(content[at : at + _SAMPLE].data)
    return digest.hexdigest()
