"""Positions of words and patches, as attention biases (torch).

There are two kinds, which are added: absolute, the product of two learned projections of position embeddings, shared by
all layers; and relative, a table per layer with a number for each head and distance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unprompt.captioners.ofa.attention import SCALE_FACTOR, split_heads

_FARTHEST = 1023
"""The largest distance between words that is distinguished; all published models were trained with this."""


def absolute_bias(queries: Tensor, keys: Tensor, heads: int) -> Tensor:
    """The bias (heads, queries, keys) of projected position embeddings (queries, size) and (keys, size)."""
    scale = (SCALE_FACTOR * queries.shape[-1] / heads) ** -0.5
    asked = split_heads(keys, heads).transpose(1, 2)
    return torch.matmul(split_heads(queries, heads) * scale, asked)


def relative_bias(table: nn.Module, distances: Tensor) -> Tensor:
    """Look up distances (queries, keys) in a layer's table (distances, heads); returns (heads, queries, keys)."""
    assert isinstance(table, nn.Embedding)
    return table.weight.T.contiguous().index_select(1, distances.flatten()).view(-1, *distances.shape)


def word_distances(length: int, bucket_size: int, device: torch.device) -> Tensor:
    """Indices (length, length) into a table of 2 * bucket_size - 1 distances, for pairs of words.

    Half the buckets hold one distance each; the others are log-spaced up to 1,023 words.
    """
    place = torch.arange(length, device=device)
    difference = place[:, None] - place[None, :]
    middle = bucket_size // 2
    distance = difference.abs().clamp(min=middle - 1)
    spaced = torch.log(distance / middle) / math.log(_FARTHEST / middle) * (middle - 1)
    # At the largest distance, rounding may exceed the table.
    spaced = spaced.ceil().clamp(max=middle - 1).long() + middle
    return torch.where(distance <= middle, difference, spaced * difference.sign()) + bucket_size - 1


def patch_distances(height: int, width: int, bucket_size: int, device: torch.device) -> Tensor:
    """Indices (height * width, height * width) into a table, by the rows and columns between two patches."""
    place = torch.arange(height * width, device=device)
    row, column = place // width, place % width
    rows = row[:, None] - row[None, :] + bucket_size - 1
    columns = column[:, None] - column[None, :] + bucket_size - 1
    return rows * (2 * bucket_size - 1) + columns


def patch_places(height: int, width: int, bucket_size: int, device: torch.device) -> Tensor:
    """Indices (height * width) of the patches' position embeddings; index 0 is not a patch."""
    row, column = torch.arange(height, device=device), torch.arange(width, device=device)
    return (row[:, None] * bucket_size + column + 1).flatten()


def word_table(bucket_size: int, heads: int) -> nn.Embedding:
    """A layer's table of distances between words."""
    return nn.Embedding(2 * bucket_size - 1, heads)


def patch_table(bucket_size: int, heads: int) -> nn.Embedding:
    """A layer's table of distances between patches, with three more rows that captioning does not need."""
    return nn.Embedding((2 * bucket_size - 1) ** 2 + 3, heads)
