"""Florence-2 as its publisher and PromptGen store it: read into transformers' own network, without their code (torch).

Their repositories hold a network under other names, with a config of other keys, and the Python that goes with both;
transformers has had the network itself since 2025, under the names to which these weights are mapped. Sources: the
repositories' files; transformers' own conversion; timm's reading of the same vision tower, which the tests compare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from unprompt.captioners.folder import CaptionFolder
from unprompt.captioners.loading import silent
from unprompt.errors import DataError, ModelError
from unprompt.models.networks.start_weights import differences
from unprompt.models.store.checkpoint import read_checkpoint

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

_TOKENS = (
    *("<od>", "</od>", "<ocr>", "</ocr>"),
    *(f"<loc_{place}>" for place in range(1000)),
    *("<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>", "<seg>", "</seg>"),
    *("<sep>", "<region_cap>", "</region_cap>", "<region_to_desciption>", "</region_to_desciption>", "<proposal>"),
    *("</proposal>", "<poly>", "</poly>", "<and>"),
)
"""What the publisher's code adds to BART's vocabulary, in this order and so misspelt."""

_PLACEHOLDER = _TOKENS[-1]
"""Stands for the picture. The publisher has no token for it; this one occurs in no question that asks for a text."""

_WORDS = (
    "language_model.model.shared.weight",
    "language_model.model.encoder.embed_tokens.weight",
    "language_model.model.decoder.embed_tokens.weight",
    "language_model.lm_head.weight",
)
"""The names under which checkpoints hold the embedding of words, one or several of them."""

_WORDS_HERE = (
    "model.language_model.shared.weight",
    "model.language_model.encoder.embed_tokens.weight",
    "model.language_model.decoder.embed_tokens.weight",
    "lm_head.weight",
)
_BIAS = "language_model.final_logits_bias"
"""BART's offset of the logits, a buffer of zeros, which transformers' Florence-2 leaves out."""

_NAMES = (
    (r"image_projection", "model.multi_modal_projector.image_projection.weight"),
    (r"image_proj_norm\.(\w+)", r"model.multi_modal_projector.image_proj_norm.\1"),
    (r"image_pos_embed\.(\w+)\.weight", r"model.multi_modal_projector.image_position_embed.\1.weight"),
    (r"visual_temporal_embed\.(\w+)", r"model.multi_modal_projector.visual_temporal_embed.\1"),
    (r"vision_tower\.convs\.(\d+)\.proj\.(\w+)", r"model.vision_tower.convs.\1.conv.\2"),
    (r"vision_tower\.convs\.(\d+)\.norm\.(\w+)", r"model.vision_tower.convs.\1.norm.\2"),
    (r"vision_tower\.(blocks\.\d+\.\d+\.\w+_block)\.conv([12])\.fn\.dw\.(\w+)", r"model.vision_tower.\1.conv\2.\3"),
    (r"vision_tower\.(blocks\.\d+\.\d+\.\w+_block)\.\w+_attn\.norm\.(\w+)", r"model.vision_tower.\1.norm1.\2"),
    (r"vision_tower\.(blocks\.\d+\.\d+\.\w+_block\.\w+_attn)\.fn\.(\w+\.\w+)", r"model.vision_tower.\1.\2"),
    (r"vision_tower\.(blocks\.\d+\.\d+\.\w+_block)\.ffn\.norm\.(\w+)", r"model.vision_tower.\1.norm2.\2"),
    (r"vision_tower\.(blocks\.\d+\.\d+\.\w+_block\.ffn)\.fn\.net\.(\w+\.\w+)", r"model.vision_tower.\1.\2"),
    (r"language_model\.model\.(.+)", r"model.language_model.\1"),
)
"""Patterns of the publisher's names, each with the name in transformers' network."""

_PROJECTION = "image_projection"
"""The publisher multiplies by this matrix from the right, a linear layer from the left."""

_SAME = ("depths", "patch_size", "patch_stride", "patch_padding", "patch_prenorm", "num_heads", "num_groups",
         "window_size", "projection_dim")  # fmt: skip
"""The keys of the vision tower's config that both have."""


def is_published_form(config: Mapping[str, Any]) -> bool:
    """Whether a folder with this config is in the publisher's form, and not in transformers' own."""
    vision = config.get("vision_config")
    return isinstance(vision, Mapping) and (vision.get("model_type") == "davit" or "dim_embed" in vision)


def own_config(folder: CaptionFolder) -> Any:
    """The config for transformers' network. Raises ModelError if the folder's has keys or sizes that do not fit."""
    from transformers import Florence2Config

    text: Any = folder.config.get("text_config")
    vision = folder.config["vision_config"]
    try:
        config = Florence2Config(
            text_config={**_plain(text), "model_type": "bart"},
            vision_config={
                **{key: vision[key] for key in _SAME},
                "embed_dim": vision["dim_embed"],
                "max_temporal_embeddings": vision["visual_temporal_embedding"]["max_temporal_embeddings"],
                "max_position_embeddings": vision["image_pos_embed"]["max_pos_embeddings"],
            },
            image_token_id=int(text["vocab_size"]) - 1,  # the last of its tokens, _PLACEHOLDER
        )
    except Exception as error:  # anything that the library may raise for wrong values
        raise ModelError(
            f"{folder.path}: expected the config of a Florence-2, found one that lacks or mistakes {error}"
        ) from error
    _check_features(folder, vision)
    return config


def _plain(text: Any) -> dict[str, Any]:
    """BART's own keys of the language model's config, without those that tell transformers how to load it."""
    kept = ("vocab_size", "d_model", "max_position_embeddings", "scale_embedding", "activation_function")
    ends = ("_layers", "_ffn_dim", "_attention_heads", "_token_id")
    return {key: value for key, value in text.items() if key in kept or key.endswith(ends)}


def _check_features(folder: CaptionFolder, vision: Mapping[str, Any]) -> None:
    """Raise ModelError for a vision tower whose features transformers' network would put together otherwise."""
    sources = vision.get("image_feature_source", ["spatial_avg_pool", "temporal_avg_pool"])
    kinds = (vision["visual_temporal_embedding"].get("type"), vision["image_pos_embed"].get("type"))
    if list(sources) != ["spatial_avg_pool", "temporal_avg_pool"] or kinds != ("COSINE", "learned_abs_2d"):
        raise ModelError(f"{folder.path}: expected Florence-2's features of a picture, found {sources} with {kinds}")


def load_published(folder: CaptionFolder, config: Any, precision: torch.dtype) -> nn.Module:
    """transformers' network with the weights of a folder in the publisher's form.

    Raises ModelError, which names the weights, if the file is damaged, or holds other weights than those of its config.
    """
    from transformers import Florence2ForConditionalGeneration, GenerationConfig

    try:
        with silent(), torch.device("meta"):
            network = Florence2ForConditionalGeneration(config)
    except Exception as error:  # constructors raise anything for sizes that do not fit together
        raise ModelError(f"{folder.path}: its config is no Florence-2's: {error}") from error
    state = own_names(_read(folder.path), folder.path)
    if faults := differences(network.state_dict(), state):
        raise ModelError(
            f"the weights in {folder.path} are not those of its config: {faults}; put the model there again"
        )
    network.load_state_dict({name: value.to(precision) for name, value in state.items()}, assign=True)
    network.tie_weights()
    text = config.text_config
    network.generation_config = GenerationConfig(
        **{name: getattr(text, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
        decoder_start_token_id=text.decoder_start_token_id,
        forced_bos_token_id=text.bos_token_id,
        forced_eos_token_id=text.eos_token_id,
    )
    return cast(nn.Module, network.eval())


def own_names(published: Mapping[str, Tensor], where: object) -> dict[str, Tensor]:
    """Weights under transformers' names, from the publisher's; those that it does not know keep their names.

    Raises ModelError for a second embedding of words that differs from the first, and for an offset of the logits.
    """
    words = [name for name in _WORDS if name in published]
    if untied := [name for name in words[1:] if not torch.equal(published[name], published[words[0]])]:
        raise ModelError(f"{where}: expected one embedding of words; found {' and '.join(untied)} unlike {words[0]}")
    if _BIAS in published and published[_BIAS].count_nonzero():
        raise ModelError(f"{where}: expected no offset of the logits, found {_BIAS}, which is not zero")
    state = dict.fromkeys(_WORDS_HERE, published[words[0]]) if words else {}
    for name, value in published.items():
        if name not in (*_WORDS, _BIAS):
            state[_own_name(name)] = value.T.contiguous() if name == _PROJECTION else value
    return state


def _own_name(name: str) -> str:
    for pattern, own in _NAMES:
        if found := re.fullmatch(pattern, name):
            return found.expand(own)
    return name


def _read(path: Path) -> dict[str, Tensor]:
    weights = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if weights is None:
        raise ModelError(f"expected the weights of {path} in one file, {' or '.join(_WEIGHTS)}; found shards")
    try:
        return read_checkpoint(weights)
    except DataError as error:
        raise ModelError(str(error)) from error


def published_tokenizer(path: Path) -> Any:
    """The tokenizer of a folder in the publisher's form, with a token that stands for the picture."""
    from transformers import BartTokenizer

    tokenizer = BartTokenizer.from_pretrained(path, local_files_only=True)
    known = tokenizer.get_vocab()
    tokenizer.add_tokens([token for token in _TOKENS if token not in known], special_tokens=True)  # left out of texts
    tokenizer.image_token = _PLACEHOLDER
    tokenizer.image_token_id = tokenizer.convert_tokens_to_ids(_PLACEHOLDER)
    return tokenizer
