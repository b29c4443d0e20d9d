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
        assert list(in_order(pool, work, range(5), 3)) == [item * item for item in range(5)]
    assert turn.is_set()


def test_no_more_are_asked_for_than_may_wait() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            asked.append(item)
            yield item

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, str, items(), 4)
        assert next(results) == "0"
        assert len(asked) == 5
        assert len(list(results)) == 99


def test_what_is_ready_may_be_too_much_before_the_number_is_reached() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            asked.append(item)
            yield item
            done.acquire()

    def work(item: int) -> int:
        done.release()
        return item

    done = threading.Semaphore(0)
    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, work, items(), 50, is_full=lambda ready: len(ready) > 3)
        assert next(results) == 0
        assert len(asked) <= 6  # the last may not be ready when it is looked for
        assert list(results) == list(range(1, 100))


def test_an_error_of_the_work_is_raised_in_its_place() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda item: 1 // item, [1, 0, 1], 1)
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_an_error_of_the_items_comes_after_all_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise KeyError("theirs")

    got: list[str] = []
    with ThreadPoolExecutor(2) as pool, pytest.raises(KeyError, match="theirs"):
        got.extend(in_order(pool, str, items(), 9))
    assert got == ["0", "1", "2"]


def test_closed_early_nothing_more_is_begun_and_the_items_are_closed() -> None:
    begun: list[int] = []
    closed = threading.Event()
    going_on = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.set()

    def work(item: int) -> None:
        begun.append(item)
        if item:
            going_on.wait(10)

    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, work, items(), 5)
        next(results)
        results.close()
        assert closed.is_set()
        going_on.set()
    assert begun in ([0], [0, 1])
