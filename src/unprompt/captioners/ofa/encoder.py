"""The encoder: from a picture and a question to the memory that the decoder attends to (torch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unprompt.captioners.ofa.attention import Layer
from unprompt.captioners.ofa.configuration import RESNETS, Configuration
from unprompt.captioners.ofa.positions import (
    absolute_bias,
    patch_distances,
    patch_places,
    patch_table,
    relative_bias,
    word_distances,
    word_table,
)
from unprompt.captioners.ofa.resnet import FEATURES, ResNet

_WORD, _PATCH = 0, 1


@dataclass(frozen=True, slots=True)
class Memory:
    """What the decoder attends to, for a batch of pictures: patches first, then words.

    `states` (pictures, length, size); `positions` (length, size), shared by all pictures; `hidden` (pictures, length),
    true at padding, or None without padding.
    """

    states: Tensor
    positions: Tensor
    hidden: Tensor | None


class Encoder(nn.Module):
    """Processes patches and words together."""

    def __init__(self, config: Configuration) -> None:
        super().__init__()
        size, heads = config.d_model, config.encoder_attention_heads
        self.heads = heads
        self.word_buckets, self.patch_buckets = config.token_bucket_size, config.image_bucket_size
        self.embed_images = ResNet(RESNETS[config.resnet_type])
        self.image_proj = nn.Linear(FEATURES, size)
        self.type_embedding = nn.Embedding(2, size)
        self.layernorm_embedding = nn.LayerNorm(size)
        self.patch_layernorm_embedding = nn.LayerNorm(size)
        self.embed_positions = nn.Embedding(config.max_position_embeddings + 2, size)
        self.embed_image_positions = nn.Embedding(config.image_bucket_size**2 + 1, size)
        self.pos_ln = nn.LayerNorm(size)
        self.image_pos_ln = nn.LayerNorm(size)
        self.pos_q_linear = nn.Linear(size, size)
        self.pos_k_linear = nn.Linear(size, size)
        layers = range(config.encoder_layers)
        self.layers = nn.ModuleList(Layer(size, heads, config.encoder_ffn_dim) for _ in layers)
        self.token_rel_pos_table_list = nn.ModuleList(word_table(self.word_buckets, heads) for _ in layers)
        self.image_rel_pos_table_list = nn.ModuleList(patch_table(self.patch_buckets, heads) for _ in layers)
        self.layer_norm = nn.LayerNorm(size)

    def forward(self, pixels: Tensor, words: Tensor, padding: Tensor | None) -> Memory:
        """pixels (batch, 3, side, side); words (batch, length, size), embedded; padding (batch, length), bool."""
        features = self.embed_images(pixels)  # (batch, 1024, side / 16, side / 16)
        patches = self.image_proj(features.flatten(2).mT) + self.type_embedding.weight[_PATCH]
        words = self.layernorm_embedding(words + self.type_embedding.weight[_WORD])
        x = torch.cat([self.patch_layernorm_embedding(patches), words], 1)  # (batch, patches + words, size)
        height, width = features.shape[-2:]
        hidden = None
        if padding is not None:
            hidden = torch.cat([padding.new_zeros(len(x), height * width), padding], 1)
            x = x.masked_fill(hidden[..., None], 0)
        positions = self._positions(height, width, words.shape[1])
        for layer, bias in zip(self.layers, self._biases(positions, height, width), strict=True):
            x = layer(x, bias if hidden is None else bias + hidden_bias(hidden, x.dtype))
        return Memory(self.layer_norm(x), positions, hidden)

    def _positions(self, height: int, width: int, words: int) -> Tensor:
        places = patch_places(height, width, self.patch_buckets, self.embed_positions.weight.device)
        patches = self.image_pos_ln(self.embed_image_positions(places))
        return torch.cat([patches, self.pos_ln(self.embed_positions.weight[:words])])  # (patches + words, size)

    def _biases(self, positions: Tensor, height: int, width: int) -> Iterator[Tensor]:
        """The bias (1, heads, length, length) of each layer in turn: all at once would be larger than the weights."""
        patches = height * width
        absolute = absolute_bias(self.pos_q_linear(positions), self.pos_k_linear(positions), self.heads)
        near = patch_distances(height, width, self.patch_buckets, positions.device)
        far = word_distances(len(positions) - patches, self.word_buckets, positions.device)
        for patch, word in zip(self.image_rel_pos_table_list, self.token_rel_pos_table_list, strict=True):
            bias = absolute.clone()
            bias[:, :patches, :patches] += relative_bias(patch, near)
            bias[:, patches:, patches:] += relative_bias(word, far)
            yield bias[None]


def hidden_bias(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """The bias (batch, 1, 1, length) that excludes hidden positions (batch, length) from attention."""
    bias = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
    return bias.masked_fill(hidden, -torch.inf)[:, None, None]
