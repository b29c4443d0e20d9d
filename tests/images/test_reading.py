"""Pictures read ahead: their order, their number, their memory, and what breaks off."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from unprompt.images.decode import Picture
from unprompt.images.files import Bytes
from unprompt.images.reading import PIXELS_LIMIT_MB, read_ahead, takes_too_much
from unprompt.images.ref import ImageRef
from unprompt.prediction import Failure

REFS = [ImageRef(f"{number}.png", Bytes(b"")) for number in range(40)]


def _failure(ref: ImageRef) -> Failure:
    return Failure(ref.source, "not-a-picture", "")


def test_answers_come_in_order_and_few_are_read_ahead() -> None:
    asked: list[str] = []
    later = threading.Event()

    def read(ref: ImageRef) -> Failure:
        if ref is REFS[0]:
            later.wait(10)  # the first takes longer than those behind it
        elif ref is REFS[2]:
            later.set()
        return _failure(ref)

    def refs() -> Iterator[ImageRef]:
        for ref in REFS:
            asked.append(ref.source)
            yield ref

    names = []
    for item in read_ahead(refs(), read, threads=3, ahead=5):
        names.append(item.source)
        assert len(asked) <= len(names) + 5
    assert names == [ref.source for ref in REFS]


def test_what_the_inputs_raise_comes_in_its_place() -> None:
    def refs() -> Iterator[ImageRef]:
        yield from REFS[:3]
        raise KeyError("theirs")

    items = read_ahead(refs(), _failure, threads=2, ahead=9)
    assert [next(items).source for _ in range(3)] == [ref.source for ref in REFS[:3]]
    with pytest.raises(KeyError, match="theirs"):
        next(items)


def test_what_reading_raises_comes_in_its_place() -> None:
    def read(ref: ImageRef) -> Failure:
        if ref is REFS[1]:
            raise MemoryError
        return _failure(ref)

    items = read_ahead(iter(REFS[:3]), read, threads=2, ahead=9)
    assert next(items).source == REFS[0].source
    with pytest.raises(MemoryError):
        next(items)


def test_large_pictures_wait_in_small_numbers() -> None:
    side = 2600  # 20 MB
    pixels = np.zeros((side, side, 3), np.uint8)

    done = threading.Semaphore(0)

    def read(ref: ImageRef) -> Picture:
        done.release()
        return Picture(ref.source, pixels, (side, side), None, ref.source, None)

    asked = 0

    def refs() -> Iterator[ImageRef]:
        nonlocal asked
        for ref in REFS:
            asked += 1
            yield ref
            done.acquire()  # what was asked for is read by now, or nearly so

    items = read_ahead(refs(), read, threads=2, ahead=30)
    first = next(items)
    items.close()
    assert [takes_too_much([first] * count) for count in (3, 4)] == [False, True]
    assert asked <= PIXELS_LIMIT_MB / (first.pixels.nbytes / 1e6) + 3
