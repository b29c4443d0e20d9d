"""Rows as trees: every row is there, nothing is there twice, and a node sees its own row alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unprompt.towers.token_tree import Block, plan_blocks

ROWS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), max_size=30)


def _row_of(block: Block, end: int) -> list[int]:
    """The tokens that a node sees, by their depth."""
    seen = np.flatnonzero(block.sees[end])
    assert block.depths[seen].tolist() == list(range(len(seen)))
    return block.tokens[seen].tolist()


@given(ROWS, st.integers(1, 20))
def test_every_row_is_what_its_last_node_sees(rows: list[list[int]], room: int) -> None:
    found = {}
    for block in plan_blocks(rows, room):
        assert len(block.tokens) <= max(room, len(block.rows) and max(len(rows[row]) for row in block.rows))
        for row, end in zip(block.rows, block.ends, strict=True):
            found[int(row)] = _row_of(block, int(end))
    assert found == dict(enumerate(rows))


@given(ROWS)
def test_a_beginning_is_there_once(rows: list[list[int]]) -> None:
    beginnings = {tuple(row[:length]) for row in rows for length in range(1, len(row) + 1)}
    assert sum(len(block.tokens) for block in plan_blocks(rows, 10_000)) == len(beginnings)


def test_no_rows_are_no_blocks() -> None:
    assert plan_blocks([]) == []
