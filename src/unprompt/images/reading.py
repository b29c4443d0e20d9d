"""Pictures fetched and decoded in threads ahead of their use, in order and with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from unprompt.images.decode import Picture
from unprompt.images.ref import ImageRef, is_distant
from unprompt.threads import in_order

PIXELS_LIMIT_MB = 64
"""Limit on the memory of the decoded pictures that wait, and of a batch: several large ones may come together."""

FETCHES = 16
"""Pictures fetched from stores at once: a store answers many at a time, and each after a tenth of a second or more."""

FETCHED_LIMIT_MB = 64
"""Limit on the files that wait or are being fetched; a larger one is fetched alone."""

_UNKNOWN_MB = 16
"""What a file counts before its size is known."""

Read = TypeVar("Read")
"""A picture, or what is returned in its place."""


def read_ahead(
    refs: Iterable[ImageRef], read: Callable[[ImageRef], Read], *, threads: int, ahead: int
) -> Generator[Read, None, None]:
    """Yield what `read` returns for each picture, in order, while threads read later ones.

    At most `ahead` results wait, fewer if they take more than `PIXELS_LIMIT_MB`. An error from `refs` or `read` is
    raised in its place.
    """
    with ThreadPoolExecutor(threads, "unprompt-decode") as pool:
        yield from in_order(pool, read, refs, ahead, is_full=takes_too_much)


def takes_too_much(items: Iterable[object]) -> bool:
    """Whether the pictures among the items take more memory than `PIXELS_LIMIT_MB`."""
    return sum(item.pixels.nbytes for item in items if isinstance(item, Picture)) > PIXELS_LIMIT_MB * 1e6


def fetched_ahead(refs: Iterable[ImageRef], *, limit_mb: float = FETCHED_LIMIT_MB) -> Iterator[ImageRef]:
    """Yield the pictures, in order, while those in stores that follow are being fetched.

    At most `FETCHES` are under way or wait, fewer if their files take more than `limit_mb`. An error from `refs` is
    raised in its place. Without pictures in stores, no thread is started and nothing is taken ahead.
    """
    pool = ThreadPoolExecutor(FETCHES, "unprompt-fetch")
    waiting: deque[ImageRef] = deque()
    failed: Exception | None = None
    try:
        try:
            for ref in refs:
                waiting.append(_begun(pool, ref) if is_distant(ref) else ref)
                while waiting and (len(waiting) > FETCHES or not is_distant(ref) or _too_much(waiting, limit_mb)):
                    yield waiting.popleft()
        except Exception as error:  # the caller's generator may raise anything
            failed = error
        yield from waiting
        if failed is not None:
            raise failed
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Fetch:
    """A picture's bytes on their way."""

    coming: Future[bytes]
    size_mb: float

    def read(self) -> bytes:
        """Wait for the bytes. Raises what reading them raised."""
        return self.coming.result()

    @property
    def held_mb(self) -> float:
        """What it takes in memory, now or soon."""
        if self.coming.done() and self.coming.exception() is None:
            return len(self.coming.result()) / 1_000_000
        return self.size_mb or _UNKNOWN_MB


def _begun(pool: ThreadPoolExecutor, ref: ImageRef) -> ImageRef:
    return replace(ref, content=_Fetch(pool.submit(ref.read), ref.size_mb))


def _too_much(waiting: Iterable[ImageRef], limit_mb: float) -> bool:
    return sum(ref.content.held_mb for ref in waiting if isinstance(ref.content, _Fetch)) > limit_mb
