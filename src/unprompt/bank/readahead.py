"""Parts of mapped files are asked for together, where the disk would otherwise be waited for part by part."""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt


def read_ahead(mapped: npt.NDArray[Any], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
    """Asks the system for rows of a file that is mapped as a whole, from each start to its end, without waiting.

    Does nothing on Windows, which has no such call, and where the array is in memory.
    """
    file: Any = mapped
    while isinstance(file, np.ndarray):
        file = file.base
    if not isinstance(file, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    first = starts * mapped.strides[0] // mmap.PAGESIZE
    last = (ends * mapped.strides[0] - 1) // mmap.PAGESIZE
    for start, end in np.unique(np.stack([first, last], axis=1), axis=0).tolist():
        if end < start:  # an empty list
            continue
        with contextlib.suppress(OSError):  # it is a wish
            file.madvise(mmap.MADV_WILLNEED, start * mmap.PAGESIZE, (end + 1 - start) * mmap.PAGESIZE)
