"""Text towers of open_clip: CLIP's vectors of texts, to learn from without pictures (torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F

from unprompt.errors import DataError, ModelError
from unprompt.models.open_clip_backbone import hub_checkpoint, quiet, tag_config
from unprompt.models.start_weights import HUB, RANDOM, differences, find_weights, read_weights
from unprompt.models.torchvision_cure import cure_torchvision
from unprompt.prediction import Vector

BATCH = 256


def encode_texts(
    name: str,
    texts: Sequence[str],
    *,
    weights: str,
    device: torch.device,
    options: Mapping[str, Any] = {},
    advance: Callable[[int], None] = lambda done: None,
) -> Vector:
    """Unit vectors (len(texts), size) float32 of texts by the text tower of `architecture.tag`.

    `weights` are "hub", "random" or a safetensors file of the whole model; `options` are sizes that differ from the
    architecture's: embed_dim and text_cfg. A text past the tower's length is cut. `advance` hears how many are done.
    Raises DataError for a model without a text tower or weights of another one, ModelError for weights that cannot be
    had.
    """
    cure_torchvision()
    import open_clip

    architecture = name.partition(".")[0]
    config = open_clip.get_model_config(architecture)
    if config is None:
        raise DataError(
            f"{name} has no text tower; a text head needs one of open_clip's models, such as ViT-L-14.openai"
        )
    model = _model(name, config, weights, options).to(device).eval()
    tokenise = _tokenizer(architecture)
    parts = []
    with torch.inference_mode():
        for at in range(0, len(texts), BATCH):
            tokens = tokenise(list(texts[at : at + BATCH]), context_length=model.context_length).to(device)
            parts.append(F.normalize(model.encode_text(tokens).float(), dim=1).cpu().numpy())
            advance(min(at + BATCH, len(texts)))
    return cast(Vector, np.concatenate(parts))


def _tokenizer(architecture: str) -> Callable[..., Any]:
    import open_clip

    try:
        tokenizer: Callable[..., Any] = open_clip.get_tokenizer(architecture)
    except OSError as error:  # SigLIP's is a file of the hub
        raise ModelError(f"the tokenizer of {architecture} cannot be had: {error}") from error
    return tokenizer


def _model(name: str, config: Mapping[str, Any], weights: str, options: Mapping[str, Any]) -> Any:
    import open_clip

    architecture, _, tag = name.partition(".")
    sizes: dict[str, Any] = {key: value for key, value in options.items() if key == "embed_dim"}
    if "text_cfg" in options:
        sizes["text_cfg"] = {**config["text_cfg"], **options["text_cfg"]}
    if tag and tag_config(architecture, tag).get("quick_gelu"):  # as in the image tower
        sizes["quick_gelu"] = True
    try:
        with quiet():
            model = open_clip.create_model(architecture, load_weights=False, pretrained_text=False, **sizes)
    except OSError as error:  # text towers of transformers have their config on the hub
        raise ModelError(f"the text tower of {name} cannot be had: {error}") from error
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise DataError(f"{name} cannot be built with {dict(options)}: {error}") from error
    if weights == RANDOM:
        return model
    state = hub_checkpoint(name) if weights == HUB else read_weights(find_weights(Path(weights)))
    if faults := differences(model.state_dict(), state):
        raise DataError(f"{weights} does not hold the whole of {name}, text tower included: {faults}")
    model.load_state_dict(state)
    return model
