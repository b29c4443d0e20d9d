"""Work ahead keeps its order, and its bounds."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from unprompt.threads import in_order


def test_results_come_in_the_order_of_the_items() -> None:
    turn = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            turn.wait(10)  # the first is done last
        elif item == 2:
            turn.set()
        return item * item

    with ThreadPoolExecutor(3) as pool:
        assert list(in_order(pool, work, range(5), 3)) == [(item, item * item) for item in range(5)]
    assert turn.is_set()


def test_no_more_are_asked_for_than_may_wait() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            asked.append(item)
            yield item

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, str, items(), 4)
        assert next(results) == (0, "0")
        assert len(asked) == 5
        assert len(list(results)) == 99


def test_an_error_is_raised_in_its_place() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda item: 1 // item, [1, 0, 1], 1)
        assert next(results) == (1, 1)
        with pytest.raises(ZeroDivisionError):
            next(results)
