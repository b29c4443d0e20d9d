"""Reading ahead asks for the pages that hold what is about to be read, and for no others."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from unprompt.bank.readahead import page_ranges, prefetch_rows

PAGE = mmap.PAGESIZE
ROW = 8
PAGE_ROWS = PAGE // ROW

needs_madvise = pytest.mark.skipif(
    not hasattr(mmap, "MADV_WILLNEED"), reason="this system cannot be asked for pages ahead"
)


class Recording(mmap.mmap):
    """A mapped file that keeps what it was asked for, and asks the system for it."""

    asked: list[tuple[int, int]]

    def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
        assert option == mmap.MADV_WILLNEED
        self.asked.append((start, start + length))
        super().madvise(option, start, length)


def rows(*numbers: int) -> npt.NDArray[np.int64]:
    return np.array(numbers, np.int64)


def mapped(path: Path, count: int) -> tuple[Recording, npt.NDArray[np.uint64]]:
    """A file of as many rows of 8 bytes, each its own number, and the array of it."""
    np.arange(count, dtype="<u8").tofile(path)
    with path.open("rb") as file:
        recording = Recording(file.fileno(), 0, access=mmap.ACCESS_READ)
    recording.asked = []
    return recording, np.ndarray((count,), "<u8", buffer=recording)


@pytest.mark.parametrize(
    ("starts", "ends", "pages"),
    [
        ([0], [1], [(0, 1)]),
        ([0], [PAGE_ROWS], [(0, 1)]),  # a row that begins the next page is not in it
        ([0], [PAGE_ROWS + 1], [(0, 2)]),
        ([PAGE_ROWS - 1], [PAGE_ROWS + 1], [(0, 2)]),
        ([PAGE_ROWS], [PAGE_ROWS + 1], [(1, 2)]),
        ([5 * PAGE_ROWS + 3, 1], [7 * PAGE_ROWS + 4, 2], [(0, 1), (5, 8)]),
        ([1, 2, 3], [2, 3, 4], [(0, 1)]),  # once, however many rows lie there
        ([0, 7, PAGE_ROWS], [0, 7, PAGE_ROWS], []),  # empty lists
        ([], [], []),
    ],
)
def test_ranges_are_of_the_pages_that_hold_the_rows(
    starts: list[int], ends: list[int], pages: list[tuple[int, int]]
) -> None:
    expected = [(first * PAGE, last * PAGE) for first, last in pages]
    assert page_ranges(rows(*starts), rows(*ends), ROW) == expected


def test_rows_that_are_longer_than_a_page_take_all_of_theirs() -> None:
    assert page_ranges(rows(1), rows(2), PAGE + 1) == [(PAGE, 3 * PAGE)]


@needs_madvise
def test_the_pages_of_a_mapped_file_are_asked_for(tmp_path: Path) -> None:
    recording, array = mapped(tmp_path / "rows", 5 * PAGE_ROWS + 1)
    prefetch_rows(np.asarray(array), rows(PAGE_ROWS, 5 * PAGE_ROWS), rows(2 * PAGE_ROWS, 5 * PAGE_ROWS + 1))
    assert recording.asked == [(PAGE, 2 * PAGE), (5 * PAGE, 6 * PAGE)]
    assert array.tolist() == list(range(5 * PAGE_ROWS + 1))


@needs_madvise
def test_a_file_that_numpy_has_mapped_is_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.arange(3 * PAGE_ROWS, dtype="<u8").tofile(tmp_path / "rows")
    made: list[Recording] = []

    def recording(*arguments: int, **keywords: int) -> Recording:
        made.append(Recording(*arguments, **keywords))
        made[-1].asked = []
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(mmap, "mmap", recording)
        array = np.asarray(np.memmap(tmp_path / "rows", "<u8", "r"))
    prefetch_rows(array, rows(2 * PAGE_ROWS), rows(2 * PAGE_ROWS + 1))
    assert [file.asked for file in made] == [[(2 * PAGE, 3 * PAGE)]]


@needs_madvise
def test_rows_that_the_file_does_not_have_are_no_error(tmp_path: Path) -> None:
    recording, array = mapped(tmp_path / "rows", 1)
    prefetch_rows(array, rows(9 * PAGE_ROWS), rows(9 * PAGE_ROWS + 1))
    assert recording.asked == [(9 * PAGE, 10 * PAGE)]


def test_what_is_in_memory_needs_none() -> None:
    array = np.arange(10)
    prefetch_rows(array, rows(0), rows(10))
    assert array.tolist() == list(range(10))
