"""How many threads there may be, and work that they do ahead, handed on in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar


def core_count() -> int:
    """The cores that this process may use, which a container may hold to fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    ahead: int,
    *,
    is_full: Callable[[list[Result]], bool] | None = None,
) -> Generator[Result, None, None]:
    """The result of `work` for each item, in the order of the items, while the pool works on the next ones.

    At most `ahead` results wait; fewer where `is_full` says of those that are ready that they take too much memory.
    What `items` or `work` raises is raised in its place, after the results of all items before it. Closing the
    generator cancels what has not begun.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for future in _begun(pool, work, items):
            waiting.append(future)
            while len(waiting) > ahead or (is_full is not None and is_full(_ready(waiting))):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _begun(pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Future[Result]]:
    """A future for each item; where the items break off, one more that raises their error."""
    try:
        for item in items:
            yield pool.submit(work, item)
    except Exception as error:  # whatever the items raise is the caller's to see
        broken: Future[Result] = Future()
        broken.set_exception(error)
        yield broken


def _ready(waiting: Iterable[Future[Result]]) -> list[Result]:
    return [future.result() for future in waiting if future.done() and future.exception() is None]
