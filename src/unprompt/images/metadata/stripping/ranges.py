"""Ranges of a file that are overwritten with zeros, unless they reach into what is kept."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
"""Start and end, in bytes."""


def blank(copy: bytearray, ranges: Iterable[Range], kept: Iterable[Range]) -> bool:
    """Overwrite the ranges with zeros; nothing if one of them overlaps what is kept, and then return False."""
    blanked, spared = merged(ranges), merged(kept)
    if any(_overlaps(found, spared) for found in blanked):
        return False
    for start, end in blanked:
        end = min(end, len(copy))
        copy[start:end] = bytes(max(0, end - start))
    return True


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same bytes in ranges that neither overlap nor touch, in order."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif start < end:
            found.append((start, end))
    return found


def _overlaps(one: Range, others: list[Range]) -> bool:
    before = bisect_left(others, (one[1], 0)) - 1
    return before >= 0 and others[before][1] > one[0]
