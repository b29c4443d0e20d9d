"""Text towers of open_clip: unit vectors of texts, without pictures (torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.models.networks.device import ShrinkingBatches
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.prediction import Vector
from unprompt.progress import Advance, no_advance
from unprompt.towers.causal import CausalText, Family, is_causal, text_tower
from unprompt.towers.open_clip_model import build_model, model_config, split_name
from unprompt.towers.tokens import ClipTokens, TextTokens, open_tokens
from unprompt.towers.two_tower import Continuations, encode_in_parts

BATCH = 256
CHUNK = 2048
"""Texts encoded at a time: enough to have many prefixes in common."""

_OTHER_BLOCKS = (
    "block_type",
    "qk_norm",
    "scaled_cosine_attn",
    "scale_heads",
    "scale_attn_inner",
    "scale_attn",
    "scale_fc",
)


def encode_texts(
    name: str,
    texts: Sequence[str],
    *,
    weights: str,
    device: torch.device,
    options: Mapping[str, Any] = {},
    advance: Advance = no_advance,
) -> Vector:
    """Unit vectors (texts, size) float32 by the text tower of `architecture.tag`.

    `weights` is "hub", "random" or a safetensors file of the whole model; `options` override sizes of the architecture:
    embed_dim and text_cfg. Longer texts are cut. Raises DataError for a model without a text tower or with weights of
    another one, ModelError for weights that are not available.
    """
    cure_torchvision()
    import open_clip

    if name.partition(".")[0] not in open_clip.list_models():
        raise DataError(
            f"{name} has no text tower; a text head needs one of open_clip's models, such as ViT-L-14.openai"
        )
    architecture, _ = split_name(name)
    model = build_model(name, weights=weights, options=options).to(device)
    tower = open_text_tower(model, open_tokens(architecture, read_length(architecture, options)))
    return encode_in_parts(tower.encode, texts, CHUNK, read_size(architecture, options), advance)


def read_size(architecture: str, options: Mapping[str, Any]) -> int:
    """Length of an architecture's vectors."""
    return int(model_config(architecture, options)["embed_dim"])


def read_length(architecture: str, options: Mapping[str, Any]) -> int:
    """Maximum number of tokens that an architecture's text tower reads, including start and end."""
    return int(model_config(architecture, options)["text_cfg"].get("context_length", 77))


def is_causal_config(architecture: str) -> bool:
    """Whether `is_causal` will hold for the model that open_clip builds for an architecture."""
    text = model_config(architecture, {})["text_cfg"]
    others = ("hf_model_name", "hf_tokenizer_name", "no_causal_mask", "embed_cls", *_OTHER_BLOCKS)
    return not any(text.get(key) for key in others) and text.get("pool_type", "argmax") in ("argmax", "eos")


def open_text_tower(model: nn.Module, tokens: TextTokens) -> CausalTexts | WholeTexts:
    """The fastest implementation that a model's text tower allows."""
    if isinstance(tokens, ClipTokens) and is_causal(model):
        return CausalTexts(model, tokens)
    return WholeTexts(model, tokens)


class CausalTexts:
    """Encodes texts with `CausalText`."""

    def __init__(self, model: nn.Module, tokens: ClipTokens) -> None:
        self._tower, self._tokens = CausalText(model), tokens
        self.batches = self._tower.passes

    def encode(self, texts: Sequence[str]) -> Vector:
        """Unit vectors (texts, size)."""
        (vectors,) = self._tower.encode([Family((), [self._tokens.row(text) for text in texts])])
        return np.asarray(vectors.numpy(), np.float32)

    def score(self, asked: Sequence[Continuations]) -> list[Vector]:
        """Cosines as in `TwoTower.score_continuations`."""
        families, kept = [], []
        for one in asked:
            rows = self._tokens.continued(one.prefix, one.terms)
            limit = min(one.limit, self._tokens.longest)
            fitting = [number for number, row in enumerate(rows) if len(row) <= limit]
            kept.append(fitting)
            families.append(
                Family(self._tokens.start(one.prefix), [self._tokens.framed(rows[number]) for number in fitting])
            )
        return [
            one.cosines(fitting, vectors.numpy())
            for one, fitting, vectors in zip(asked, kept, self._tower.encode(families), strict=True)
        ]


class WholeTexts:
    """Encodes whole texts with the model's own tower, for bidirectional towers and those with other layers."""

    def __init__(self, model: nn.Module, tokens: TextTokens) -> None:
        from open_clip.hf_model import HFTextEncoder

        self._model, self._tokens = model, tokens
        self._device = next(text_tower(model).parameters()).device
        # Only the towers of transformers ignore padding.
        tower = text_tower(model)
        self._padding: int | None = tower.config.pad_token_id if isinstance(tower, HFTextEncoder) else None
        self.batches = ShrinkingBatches(BATCH, "text")

    def encode(self, texts: Sequence[str]) -> Vector:
        """Unit vectors (texts, size)."""
        if not texts:
            return np.empty((0, 0), np.float32)
        tokens = self._tokens.padded(texts)
        order = torch.argsort(self._lengths(tokens), stable=True)
        with torch.inference_mode():
            vectors = torch.cat(list(self.batches(tokens[order], self._compute)))
        return np.asarray(vectors[torch.argsort(order)].numpy(), np.float32)

    def score(self, asked: Sequence[Continuations]) -> list[Vector]:
        """Cosines as in `TwoTower.score_continuations`."""
        return [one.score_texts(self.encode, self._tokens.count, self._tokens.longest) for one in asked]

    def _lengths(self, tokens: Tensor) -> Tensor:
        """Number of tokens (texts,) that the tower must read, given tokens (texts, context_length)."""
        if self._padding is None:
            return torch.full((len(tokens),), tokens.shape[1])
        places = torch.arange(1, tokens.shape[1] + 1)
        return ((tokens != self._padding) * places).amax(dim=1).clamp(min=1)

    def _compute(self, tokens: Tensor) -> Tensor:
        seen = tokens[:, : int(self._lengths(tokens).max())].to(self._device)
        vectors: Tensor = self._model.encode_text(seen)  # type: ignore[operator]
        return F.normalize(vectors.float(), dim=1).cpu()
