"""Pictures decoded ahead of whoever looks at them, in order, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias

from unprompt.images.decode import Picture
from unprompt.images.ref import ImageRef
from unprompt.prediction import Failure, Prediction

PIXELS_LIMIT_MB = 64
"""Decoded pictures that wait, and a batch, are bounded by their memory as well: large ones may come together."""

Read: TypeAlias = Picture | Prediction | Failure


@dataclass(frozen=True, slots=True)
class InputError:
    """The inputs broke off: what came before is answered first, then this is raised."""

    error: BaseException


def read_ahead(
    refs: Iterator[ImageRef], read: Callable[[ImageRef], Read], *, threads: int, ahead: int
) -> Generator[Read | InputError, None, None]:
    """The pictures in order, decoded in threads: while the models look at one batch, the next one is made ready.

    `ahead` is how many wait at most; fewer, where they take `PIXELS_LIMIT_MB`. What `refs` raise comes in its place.
    """
    waiting: deque[Future[Read] | InputError] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="unprompt-decode")
    try:
        for ref in _until_error(refs):
            waiting.append(ref if isinstance(ref, InputError) else pool.submit(_named, read, ref))
            while len(waiting) > ahead or megabytes(map(_if_done, waiting)) > PIXELS_LIMIT_MB:
                yield _outcome(waiting.popleft())
        while waiting:
            yield _outcome(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def megabytes(items: Iterable[object]) -> float:
    """The memory of the pictures among them."""
    return sum(item.pixels.nbytes for item in items if isinstance(item, Picture)) / 1e6


def _named(read: Callable[[ImageRef], Read], ref: ImageRef) -> Read:
    """What is known already may have had another name."""
    item = read(ref)
    return replace(item, source=ref.source) if isinstance(item, Prediction) else item


def _if_done(item: Future[Read] | InputError) -> Read | None:
    return item.result() if isinstance(item, Future) and item.done() and item.exception() is None else None


def _outcome(item: Future[Read] | InputError) -> Read | InputError:
    if isinstance(item, InputError):
        return item
    error = item.exception()
    return item.result() if error is None else InputError(error)


def _until_error(refs: Iterator[ImageRef]) -> Iterator[ImageRef | InputError]:
    try:
        yield from refs
    except Exception as error:  # whatever the caller's own generator raises is theirs to see, in its place
        yield InputError(error)
