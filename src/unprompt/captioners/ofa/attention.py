"""Attention, and the layers of encoder and decoder (torch)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALE_FACTOR = 2
"""The usual scale of attention is divided by this number's root, since position biases are added to it."""


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(..., length, size) -> (..., heads, length, size / heads)."""
    return x.view(*x.shape[:-1], heads, -1).transpose(-3, -2)


class Attention(nn.Module):
    """Multi-head attention with a learned scale per head (NormFormer)."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (SCALE_FACTOR * size / heads) ** -0.5
        self.k_proj = nn.Linear(size, size)
        self.v_proj = nn.Linear(size, size)
        self.q_proj = nn.Linear(size, size)
        self.out_proj = nn.Linear(size, size)
        self.c_attn = nn.Parameter(torch.ones(heads))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (batch, heads, length, head size) of x (batch, length, size)."""
        return split_heads(self.k_proj(x), self.heads), split_heads(self.v_proj(x), self.heads)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """Attend from x (batch, queries, size); bias (batch or 1, heads, queries, keys)."""
        queries = split_heads(self.q_proj(x), self.heads)
        found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias, scale=self.scale)
        found = found * self.c_attn[:, None, None]
        out: Tensor = self.out_proj(found.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """An encoder layer, and the part of a decoder layer that is the same, with NormFormer's additional norms."""

    def __init__(self, size: int, heads: int, inner: int) -> None:
        super().__init__()
        self.self_attn = Attention(size, heads)
        self.self_attn_layer_norm = nn.LayerNorm(size)
        self.self_attn_mid_layer_norm = nn.LayerNorm(size)
        self.fc1 = nn.Linear(size, inner)
        self.fc2 = nn.Linear(inner, size)
        self.ffn_layer_norm = nn.LayerNorm(inner)
        self.final_layer_norm = nn.LayerNorm(size)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Self-attention over x (batch, length, size); bias (batch or 1, heads, length, length)."""
        normed = self.self_attn_layer_norm(x)
        found = self.self_attn(normed, *self.self_attn.keys_values(normed), bias)
        return self.feed_forward(x + self.self_attn_mid_layer_norm(found))

    def feed_forward(self, x: Tensor) -> Tensor:
        """Add the perceptron's output to x (batch, length, size)."""
        inner = F.gelu(self.fc1(self.final_layer_norm(x)))
        added: Tensor = self.fc2(self.ffn_layer_norm(inner))
        return x + added
