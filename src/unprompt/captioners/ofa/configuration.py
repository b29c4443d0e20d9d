"""Which OFA it is: the sizes of a published config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unprompt.errors import ModelError

START, PAD, END = 0, 1, 2
"""Tokens of the published vocabulary: <s>, <pad>, </s>."""

RESNETS = {"resnet50": (3, 4, 6), "resnet101": (3, 4, 23), "resnet152": (3, 8, 36)}
"""Blocks in each stage; the fourth is left out."""

_BOUNDS = {
    "vocab_size": (8, 262_144),
    "d_model": (8, 8192),
    "encoder_layers": (1, 96),
    "decoder_layers": (1, 96),
    "encoder_attention_heads": (1, 128),
    "decoder_attention_heads": (1, 128),
    "encoder_ffn_dim": (8, 65_536),
    "decoder_ffn_dim": (8, 65_536),
    "max_position_embeddings": (8, 1024),
    "token_bucket_size": (4, 1024),
    "image_bucket_size": (1, 128),
}
"""From and to; the largest that was published is far within."""

_SAME_IN_ALL: Mapping[str, Any] = {
    "activation_function": "gelu",
    "add_type_embedding": True,
    "attn_scale_factor": 2.0,
    "bos_token_id": START,
    "decoder_normalize_before": True,
    "encoder_normalize_before": True,
    "entangle_position_embedding": False,
    "eos_token_id": END,
    "layernorm_embedding": True,
    "normformer": True,
    "pad_token_id": PAD,
    "patch_layernorm_embedding": True,
    "scale_embedding": False,
    "share_decoder_input_output_embed": True,
}
"""What every published config says; a model that says otherwise is another one."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Sizes, under the names that the published config.json has for them.

    `token_bucket_size` and `image_bucket_size` say how far apart two words (log-spaced) and two patches (in rows and
    columns) may be before their distance is told no better.
    """

    vocab_size: int
    d_model: int
    encoder_layers: int
    decoder_layers: int
    encoder_attention_heads: int
    decoder_attention_heads: int
    encoder_ffn_dim: int
    decoder_ffn_dim: int
    max_position_embeddings: int
    token_bucket_size: int
    image_bucket_size: int
    resnet_type: str

    @classmethod
    def from_config(cls, config: Any) -> Configuration:
        """Reads a published config; its other keys do not matter here. Raises ModelError for another kind of model."""
        if not isinstance(config, Mapping):
            raise ModelError(f"expected OFA's config as a JSON object, found {type(config).__name__}")
        if config.get("model_type") != "ofa":
            raise ModelError(f"expected the config of an OFA, model_type = 'ofa'; found {config.get('model_type')!r}")
        needed = (*_BOUNDS, "resnet_type")
        if lacking := [key for key in needed if key not in config]:
            raise ModelError(f"OFA's config lacks {', '.join(lacking)}; take the config.json of the same checkpoint")
        for key, expected in _SAME_IN_ALL.items():
            if config.get(key, expected) != expected:
                raise ModelError(f"OFA's config has {key} = {config[key]!r}; every published OFA has {expected!r}")
        sizes = {key: _bounded(key, config[key]) for key in _BOUNDS}
        for part in ("encoder", "decoder"):
            heads = sizes[f"{part}_attention_heads"]
            if sizes["d_model"] % heads:
                raise ModelError(
                    f"OFA's config has {heads} heads of its {part}, which do not divide {sizes['d_model']}"
                )
        if config["resnet_type"] not in list(RESNETS):  # it may be anything, a list too
            raise ModelError(f"OFA's config has resnet_type = {config['resnet_type']!r}; expected {', '.join(RESNETS)}")
        return cls(**sizes, resnet_type=config["resnet_type"])


def _bounded(key: str, value: Any) -> int:
    least, most = _BOUNDS[key]
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise ModelError(f"OFA's config has {key} = {value!r}; expected a whole number from {least} to {most}")
