"""Reading ahead changes no answer and asks for nothing that a file does not hold."""

import mmap
from pathlib import Path

import numpy as np
import pytest

from unprompt.bank.readahead import read_ahead

ROW = 8
PAGE_ROWS = mmap.PAGESIZE // ROW


@pytest.mark.parametrize("count", [1, PAGE_ROWS - 1, PAGE_ROWS, 5 * PAGE_ROWS, 5 * PAGE_ROWS + 1])
def test_any_rows_of_a_mapped_file(tmp_path: Path, count: int) -> None:
    np.arange(count, dtype="<u8").tofile(tmp_path / "rows")
    mapped = np.asarray(np.memmap(tmp_path / "rows", "<u8", "r"))
    for starts, ends in [([0], [count]), ([count], [count]), ([0, 0], [0, 0]), ([count - 1, 0], [count, 1]), ([], [])]:
        read_ahead(mapped, np.array(starts, np.int64), np.array(ends, np.int64))
    assert mapped.tolist() == list(range(count))


def test_what_is_in_memory_needs_none() -> None:
    read_ahead(np.arange(10), np.array([0]), np.array([10]))
