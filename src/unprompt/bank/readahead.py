"""Prefetching: requests many parts of a mapped file at once, instead of waiting for the disk part by part."""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def prefetch_rows(mapped: npt.NDArray[Any], starts: Rows, ends: Rows) -> None:
    """Ask the system to load rows of a memory-mapped file, from each start to its end, without waiting.

    Does nothing on Windows, which has no such call, and for arrays in memory.
    """
    file: Any = mapped
    while isinstance(file, np.ndarray):
        file = file.base
    if not isinstance(file, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    for start, end in page_ranges(starts, ends, mapped.strides[0]):
        with contextlib.suppress(OSError, ValueError):  # only a hint; rows past the end are noticed when they are read
            file.madvise(mmap.MADV_WILLNEED, start, end - start)


def page_ranges(starts: Rows, ends: Rows, row_bytes: int) -> list[tuple[int, int]]:
    """The distinct, ascending byte ranges, in whole pages, that hold the rows from each start to its end."""
    filled = starts < ends
    first = starts[filled] * row_bytes // mmap.PAGESIZE
    last = -(ends[filled] * row_bytes // -mmap.PAGESIZE)
    pages = np.unique(np.stack([first, last], axis=1), axis=0) * mmap.PAGESIZE
    return [(start, end) for start, end in pages.tolist()]
