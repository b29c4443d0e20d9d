"""Whole models of open_clip, both towers (torch)."""

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
"""The keys of a model's `text_cfg` that change sizes."""

Precision = Literal["fp32", "fp16"]

_STALE = "text.transformer.embeddings.position_ids"
"""In old files of towers of transformers, which lost it in version 4.31."""

_SAMPLE, _SAMPLED_EVERY = 1 << 10, 1 << 16  # bytes of a tensor, and between their beginnings

_LARGEST_NUMBER = 1 << 20  # of anything in options: beyond every vocabulary and width that there is


def split_name(name: str) -> tuple[str, str]:
    """Architecture and tag ("" for none) of `architecture.tag` or, as CLIP Interrogator writes it, `architecture/tag`.

    Raises UnknownNameError, with the nearest names, where open_clip does not know them; MissingExtraError without it.
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
    """A model of open_clip on the CPU, in the state for answering; a file of weights is mapped, and read when used.

    `weights`: "hub" (those of the tag), "random", or the path of a safetensors file of the whole model or of a folder
    with one. `options` are sizes that differ from the architecture's: embed_dim, text_cfg and vision_cfg. "fp16" is
    open_clip's mixture for GPUs: norms stay in float32.

    Raises UnknownNameError for a name or an option that is not known, DataError for what does not fit together,
    ModelError for weights that cannot be had.
    """
    architecture, tag = split_name(name)
    if weights == RANDOM:
        return _create(name, architecture, tag, weights, options, precision).eval()
    file = weights_file(name, weights)
    # Random numbers that the file's would replace cost seconds: of a large model more than all the rest.
    with torch.device("meta"):
        model = _create(name, architecture, tag, weights, options, precision)
    _fill(model, name, file)
    if not _made_whole(model):  # something in it is neither a weight nor a mask
        model = _create(name, architecture, tag, weights, options, precision)
        _fill(model, name, file)
    return model.eval()


def weights_file(name: str, weights: str) -> Path:
    """The file of the weights. Raises ModelError where the hub's is not at hand, DataError where a path has none."""
    return hub_weights(*split_name(name)) if weights == HUB else find_weights(Path(weights))


def weights_identity(weights: Path | nn.Module) -> str:
    """A hash, 12 hexadecimal digits, that changes with the weights of a file or of a model.

    Files of the hub's cache are known by their hash already: it is the name of the file behind the link.
    """
    if isinstance(weights, nn.Module):
        return _model_sha256(weights)[:12]
    blob = weights.resolve()
    if blob.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", blob.name):
        return blob.name[:12]
    return file_sha256(blob)[:12]


def model_config(architecture: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's config of a known architecture, with other sizes. Raises UnknownNameError or DataError."""
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
    # Whatever starts out from weights of its own would fetch them.
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
    if (tag or weights == HUB) and tag_config(architecture, tag).get("quick_gelu"):  # OpenAI's, which others left
        sizes["quick_gelu"] = True
    try:
        with quiet():
            model = open_clip.create_model(
                architecture,
                load_weights=False,
                pretrained_text=False,
                precision=precision,
                device=torch.get_default_device(),  # it would put the model on the one that it is told
                **sizes,
            )
    except OSError as error:  # text towers of transformers have their config on the hub
        raise ModelError(f"the text tower of {name} cannot be had: {error}") from error
    except Exception as error:  # whatever a constructor makes of sizes that do not fit together
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
    """Makes the causal masks of a model that was built on the device "meta"; whether nothing is left there."""
    for module in model.modules():
        mask = getattr(module, "attn_mask", None)
        if isinstance(mask, Tensor) and mask.is_meta:
            module.attn_mask = torch.full(mask.shape, -torch.inf, dtype=mask.dtype).triu_(1)
    return not any(value.is_meta for value in (*model.parameters(), *model.buffers()))


def _model_sha256(model: nn.Module) -> str:
    """Of a sample of each tensor and of the sum of its words, in which any change shows; quicker than all of it."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        words = content[: len(content) // 8 * 8].view("<u8")
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} {words.sum(dtype=np.uint64)}\n".encode())
        digest.update(content[len(words) * 8 :].data)
        for at in range(0, len(content), _SAMPLED_EVERY):
            digest.update(content[at : at + _SAMPLE].data)
    return digest.hexdigest()
