"""Pictures decoded ahead of whoever looks at them, in order, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from unprompt.images.decode import Picture
from unprompt.images.ref import ImageRef
from unprompt.threads import in_order

PIXELS_LIMIT_MB = 64
"""Decoded pictures that wait, and a batch, are bounded by their memory as well: large ones may come together."""

Read = TypeVar("Read")
"""A picture, or what stands in its place."""


def read_ahead(
    refs: Iterable[ImageRef], read: Callable[[ImageRef], Read], *, threads: int, ahead: int
) -> Generator[Read, None, None]:
    """What `read` gives for each picture, in order; threads read the next ones meanwhile.

    At most `ahead` wait; fewer where they take more than `PIXELS_LIMIT_MB`. What `refs` or `read` raises is raised in
    its place.
    """
    with ThreadPoolExecutor(threads, "unprompt-decode") as pool:
        yield from in_order(pool, read, refs, ahead, is_full=takes_too_much)


def takes_too_much(items: Iterable[object]) -> bool:
    """Whether the pictures among the items take more memory than `PIXELS_LIMIT_MB`."""
    return sum(item.pixels.nbytes for item in items if isinstance(item, Picture)) > PIXELS_LIMIT_MB * 1e6
