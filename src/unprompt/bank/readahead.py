"""Parts of mapped files are asked for together, where the disk would otherwise be waited for part by part."""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def prefetch_rows(mapped: npt.NDArray[Any], starts: Rows, ends: Rows) -> None:
    """Asks the system for rows of a file that is mapped as a whole, from each start to its end, without waiting.

    Does nothing on Windows, which has no such call, and where the array is in memory.
    """
    file: Any = mapped
    while isinstance(file, np.ndarray):
        file = file.base
    if not isinstance(file, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    for start, end in page_ranges(starts, ends, mapped.strides[0]):
        with contextlib.suppress(OSError, ValueError):  # it is a wish; rows past the end show when they are read
            file.madvise(mmap.MADV_WILLNEED, start, end - start)


def page_ranges(starts: Rows, ends: Rows, row_bytes: int) -> list[tuple[int, int]]:
    """The different ranges of bytes, of whole pages and ascending, that hold the rows from each start to its end."""
    filled = starts < ends
    first = starts[filled] * row_bytes // mmap.PAGESIZE
    last = -(ends[filled] * row_bytes // -mmap.PAGESIZE)
    pages = np.unique(np.stack([first, last], axis=1), axis=0) * mmap.PAGESIZE
    return [(start, end) for start, end in pages.tolist()]
