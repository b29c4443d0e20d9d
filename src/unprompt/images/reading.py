"""Pictures decoded in threads ahead of their use, in order and with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from unprompt.images.decode import Picture
from unprompt.images.ref import ImageRef
from unprompt.threads import in_order

PIXELS_LIMIT_MB = 64
"""Limit on the memory of the decoded pictures that wait, and of a batch: several large ones may come together."""

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
