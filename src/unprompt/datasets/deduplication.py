"""Prompts that say nearly the same as an earlier one, by the cosine of their MiniLM vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unprompt.datasets.near_pairs import Indices, NearPairs, Pairs


def find_originals(
    search: NearPairs,
    report: Callable[[Pairs], None] | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> Indices:
    """For each vector the one that it is dropped for, or -1 where it is kept (n,).

    In order, a vector is dropped if its cosine with any kept one before it reaches the threshold, and then for the
    earliest of those. So no two that are kept reach it, and each dropped one has a kept one near; but what is near a
    dropped one alone is kept. `report` hears of all pairs that reach the threshold, kept or not, which takes longer
    than finding those with kept ones alone. `advance` hears how many more vectors are decided. Uses the search up.
    """
    originals = np.full(len(search), -1, np.int64)

    def undecided(_first: Indices, second: Indices) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return originals[second] < 0

    wanted = undecided if report is None else None
    for block in search.blocks():
        for pairs in search.earlier(block, wanted):
            _report(pairs, report)
            _drop(pairs, originals)
        for pairs in search.within(block, wanted):
            _report(pairs, report)
            _drop(pairs, originals)
        search.remember(block, None if report else originals[block] < 0)
        advance(block.stop - block.start)
    return originals


def _report(pairs: Pairs, report: Callable[[Pairs], None] | None) -> None:
    if report is not None:
        report(pairs)


def _drop(pairs: Pairs, originals: Indices) -> None:
    """Decides the second of each pair; the firsts have been decided, as pairs come ordered by their second."""
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        if originals[first] < 0 and originals[second] < 0:
            originals[second] = first
