"""Where words and patches are, as biases of attention (torch).

Two kinds are added: absolute, the product of two learnt projections of position embeddings, which all layers share; and
relative, a table of each layer with a number for every head and distance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unprompt.captioners.ofa.attention import SCALE_FACTOR, split_heads

_FARTHEST = 1023
"""Words between which a distance is still told; published models were all trained with this."""


def absolute_bias(queries: Tensor, keys: Tensor, heads: int) -> Tensor:
    """queries (asking, size) and keys (asked, size), projected position embeddings; returns (heads, asking, asked)."""
    scale = (SCALE_FACTOR * queries.shape[-1] / heads) ** -0.5
    asked = split_heads(keys, heads).transpose(1, 2)
    return torch.matmul(split_heads(queries, heads) * scale, asked)


def relative_bias(table: nn.Module, distances: Tensor) -> Tensor:
    """What a layer's table (distances, heads) has for distances (asking, asked); returns (heads, asking, asked)."""
    assert isinstance(table, nn.Embedding)
    return table.weight.T.contiguous().index_select(1, distances.flatten()).view(-1, *distances.shape)


def word_distances(length: int, bucket_size: int, device: torch.device) -> Tensor:
    """Rows of a table of 2 * bucket_size - 1 for pairs of words (length, length).

    Half the buckets hold one distance each; the others are log-spaced up to 1,023 words.
    """
    place = torch.arange(length, device=device)
    difference = place[:, None] - place[None, :]
    middle = bucket_size // 2
    distance = difference.abs().clamp(min=middle - 1)
    spaced = torch.log(distance / middle) / math.log(_FARTHEST / middle) * (middle - 1)
    # At the farthest distance rounding may lead past the table's end.
    spaced = spaced.ceil().clamp(max=middle - 1).long() + middle
    return torch.where(distance <= middle, difference, spaced * difference.sign()) + bucket_size - 1


def patch_distances(height: int, width: int, bucket_size: int, device: torch.device) -> Tensor:
    """Rows of a table for pairs of patches (height * width, height * width), by rows and columns between them."""
    place = torch.arange(height * width, device=device)
    row, column = place // width, place % width
    rows = row[:, None] - row[None, :] + bucket_size - 1
    columns = column[:, None] - column[None, :] + bucket_size - 1
    return rows * (2 * bucket_size - 1) + columns


def patch_places(height: int, width: int, bucket_size: int, device: torch.device) -> Tensor:
    """Rows of the position embeddings of patches (height * width); the first row is that of no patch."""
    row, column = torch.arange(height, device=device), torch.arange(width, device=device)
    return (row[:, None] * bucket_size + column + 1).flatten()


def word_table(bucket_size: int, heads: int) -> nn.Embedding:
    """A layer's table of distances between words."""
    return nn.Embedding(2 * bucket_size - 1, heads)


def patch_table(bucket_size: int, heads: int) -> nn.Embedding:
    """A layer's table of distances between patches, and three rows for what is no patch, which no caption needs."""
    return nn.Embedding((2 * bucket_size - 1) ** 2 + 3, heads)
