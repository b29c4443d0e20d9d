"""The pictures of a run, numbered in the order of the input: what is the same on every machine, and what a shard takes.

A picture's position is its place among all that the paths name, counted from 0. Each worker lists the same paths, which
needs no exchange and no memory, and takes every Nth picture. A hash over all names shows whether two listings are the
same: with one file more or less, every later position would be another picture's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unprompt.errors import DataError
from unprompt.images.files import Unavailable
from unprompt.images.ref import ImageRef

if TYPE_CHECKING:
    from unprompt.output.formats import Writer
    from unprompt.output.records import Record

POSITION = "position"
"""The key of a record that says where its picture stands in the input; it comes first."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How many pictures there are, and a hash of their names in order."""

    pictures: int
    sha256: str


class _Digest:
    def __init__(self) -> None:
        self._hash, self.pictures = hashlib.sha256(), 0

    def add(self, ref: ImageRef) -> None:
        for name in (ref.source, ref.below):
            data = name.encode("utf-8", "surrogatepass")
            self._hash.update(b"%d:%b" % (len(data), data))  # the length, for a name may hold any separator
        self.pictures += 1

    def listing(self) -> Listing:
        return Listing(self.pictures, self._hash.hexdigest())


def list_all(refs: Iterable[ImageRef], advance: Callable[[int], None] = lambda _count: None) -> Listing:
    """Go through all pictures without opening one; `advance` is told how many more were found.

    Memory does not grow with their number. Raises DataError if there is none, not even one that cannot be read.
    """
    digest, found, nothing = _Digest(), False, ""
    for ref in refs:
        digest.add(ref)
        advance(1)
        if isinstance(ref.content, Unavailable) and ref.content.kind == "no-pictures":
            nothing = nothing or f"{ref.source}: {ref.content.message}"
        else:
            found = True
    if not found:
        raise DataError(nothing or "expected pictures, found none; name some")
    return digest.listing()


def share_of(refs: Iterable[ImageRef], shard: int, shards: int, listing: Listing) -> Iterator[ImageRef]:
    """The pictures of one shard, in order.

    Raises DataError at the end if the pictures were not those of the listing.
    """
    digest = _Digest()
    for position, ref in enumerate(refs):
        digest.add(ref)
        if position % shards == shard:
            yield ref
    if digest.listing() != listing:
        raise DataError(
            f"expected the {listing.pictures:,} pictures of this run, found {digest.pictures:,}, or others, when shard "
            f"{shard} was done: files were added, removed or renamed meanwhile; put them back, or begin anew in "
            "another -o with a list that does not change: @LIST"
        )


class Positioned:
    """A writer that puts its position in front of each record, in order."""

    def __init__(self, writer: Writer, positions: Iterable[int]) -> None:
        self._writer, self._positions = writer, iter(positions)

    def write(self, record: Record) -> None:
        self._writer.write({POSITION: next(self._positions), **record})

    def close(self) -> None:
        self._writer.close()
