"""Token trees: rows of tokens whose common prefixes are stored once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

BLOCK = 128
"""Tokens per block. Larger ones repeat fewer tokens, but compare more: at 128, attention is 5 % of ViT-B-32's work."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A tree of tokens that makes up some of the rows.

    `rows` (rows,) are their indices. `tokens` and `depths` (nodes,) give each node's token and its position in the row.
    `sees` (nodes, nodes) tells whether the second node is an ancestor of the first, or the same. `ends` (rows,) is the
    last node of each row.
    """

    rows: Numbers
    tokens: Numbers
    depths: Numbers
    sees: npt.NDArray[np.bool_]
    ends: Numbers


def plan_blocks(rows: Sequence[Sequence[int]], room: int = BLOCK) -> list[Block]:
    """Split non-empty rows into blocks of at most `room` tokens; a longer row is a block of its own.

    Each row is in one block. The result does not depend on the order of the rows.
    """
    if not rows:
        return []
    order = np.array(sorted(range(len(rows)), key=lambda number: tuple(rows[number])))
    lengths = np.array([len(rows[number]) for number in order])
    grid = np.full((len(rows), int(lengths.max())), -1, np.int64)  # (rows, longest), in order
    for place, number in enumerate(order):
        grid[place, : lengths[place]] = rows[number]
    alike = (grid[1:] == grid[:-1]) & (grid[1:] >= 0)
    shared = np.concatenate([[0], np.logical_and.accumulate(alike, axis=1).sum(axis=1)])
    return [
        _grow(order[first:last], grid[first:last], lengths[first:last], shared[first:last])
        for first, last in _cuts(lengths.tolist(), shared.tolist(), room)
    ]


def _cuts(lengths: Sequence[int], shared: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    """The ranges of sorted rows that make up blocks; `shared` counts the tokens in common with the row before."""
    first, filled = 0, 0
    for place, (length, known) in enumerate(zip(lengths, shared, strict=True)):
        if place > first and filled + length - known > room:
            yield first, place
            first, filled, known = place, 0, 0
        filled += length - known
    yield first, len(lengths)


def _grow(rows: Numbers, grid: Numbers, lengths: Numbers, shared: Numbers) -> Block:
    """The tree of sorted rows, grid (rows, longest)."""
    longest = int(lengths.max())
    depths = np.arange(longest)
    known = np.concatenate([[0], shared[1:]])[:, None]
    fresh = (depths >= known) & (depths < lengths[:, None])  # (rows, longest): whether the row has a node of its own
    numbers = np.cumsum(fresh).reshape(fresh.shape) - 1
    # Otherwise it shares the node of the last row before it that has its own.
    owners = np.maximum.accumulate(np.where(fresh, np.arange(len(rows))[:, None], 0), axis=0)
    ways = np.take_along_axis(numbers, owners, axis=0)  # (rows, longest): the nodes of each row
    row, depth = np.nonzero(fresh)
    sees = np.zeros((len(row), len(row)), np.bool_)
    node, above = np.nonzero(depths <= depth[:, None])
    sees[node, ways[row[node], above]] = True
    return Block(rows, grid[row, depth], depth, sees, ways[np.arange(len(rows)), lengths - 1])
