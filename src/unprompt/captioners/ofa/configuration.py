"""The sizes of an OFA, as in a published config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from unprompt.checked import Bounds, read
from unprompt.errors import ModelError, UnpromptError

START, PAD, END = 0, 1, 2
"""Tokens of the published vocabulary: <s>, <pad>, </s>."""

RESNETS = {"resnet50": (3, 4, 6), "resnet101": (3, 4, 23), "resnet152": (3, 8, 36)}
"""Blocks in each stage; the fourth stage is not used."""

Layers: TypeAlias = Annotated[int, Bounds(1, 96)]
Heads: TypeAlias = Annotated[int, Bounds(1, 128)]
Inner: TypeAlias = Annotated[int, Bounds(8, 65_536)]

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
"""Keys with the same value in every published config; other values would mean another architecture."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Sizes, named as in the published config.json; the bounds are far beyond the largest published model.

    `token_bucket_size` and `image_bucket_size` are the ranges within which distances between two words (log-spaced) and
    between two patches (in rows and columns) are distinguished.
    """

    vocab_size: Annotated[int, Bounds(8, 262_144)]
    d_model: Annotated[int, Bounds(8, 8192)]
    encoder_layers: Layers
    decoder_layers: Layers
    encoder_attention_heads: Heads
    decoder_attention_heads: Heads
    encoder_ffn_dim: Inner
    decoder_ffn_dim: Inner
    max_position_embeddings: Annotated[int, Bounds(8, 1024)]
    token_bucket_size: Annotated[int, Bounds(4, 1024)]
    image_bucket_size: Annotated[int, Bounds(1, 128)]
    resnet_type: Literal["resnet50", "resnet101", "resnet152"]
    other_keys: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for part, heads in (("encoder", self.encoder_attention_heads), ("decoder", self.decoder_attention_heads)):
            if self.d_model % heads:
                raise ModelError(f"expected the heads of its {part} to divide {self.d_model}, found {heads}")

    @classmethod
    def from_config(cls, config: Any) -> Configuration:
        """Read a published config, ignoring other keys. Raises ModelError for another kind of model."""
        if not isinstance(config, Mapping):
            raise ModelError(f"expected OFA's config as a JSON object, found {type(config).__name__}")
        if config.get("model_type") != "ofa":
            raise ModelError(f"expected the config of an OFA, model_type = 'ofa'; found {config.get('model_type')!r}")
        for key, expected in _SAME_IN_ALL.items():
            if config.get(key, expected) != expected:
                raise ModelError(f"OFA's config has {key} = {config[key]!r}; every published OFA has {expected!r}")
        try:
            return read(cls, config, "OFA's config")
        except UnpromptError as error:
            raise ModelError(f"{error}; take the config.json of the same checkpoint") from error
