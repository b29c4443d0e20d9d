"""The number of usable cores, and work that a thread pool does ahead, with results in order."""

from __future__ import annotations

import operator
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar


def core_count() -> int:
    """The number of cores that this process may use, which a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: int) -> int:
    """`threads`, the number of threads that a caller asks for; 0: one for each core. Raises TypeError, ValueError."""
    try:
        threads = operator.index(threads)
    except TypeError:
        raise TypeError(f"expected threads to be a whole number, found {threads!r}") from None
    if threads < 0:
        raise ValueError(f"expected threads of 0, which means one for each core, or more, found {threads}")
    return threads


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
    """Yield the result of `work` for each item, in order, while the pool works on later items.

    At most `ahead` results wait; fewer if `is_full` returns true for the results that are ready. An error from `items`
    or `work` is raised in its place, after the results of all earlier items. Closing the generator cancels the work
    that has not started.
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
    """Yield a future for each item; if `items` raises an error, the last future raises it."""
    try:
        for item in items:
            yield pool.submit(work, item)
    except Exception as error:  # the caller's generator may raise anything
        broken: Future[Result] = Future()
        broken.set_exception(error)
        yield broken


def _ready(waiting: Iterable[Future[Result]]) -> list[Result]:
    return [future.result() for future in waiting if future.done() and future.exception() is None]
