"""Pictures in pieces of work: small enough that a lost one costs little, large enough that handing it out does not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from unprompt.images.archives import TarMember
from unprompt.images.files import Bytes, LocalFile
from unprompt.images.ref import ImageRef

PICTURES = 64
"""Half a minute of one core with the preset "embedded": what a killed driver loses of each actor."""

MEGABYTES = 64.0
"""Files of a chunk: pictures of gzipped tars travel with it, and those for WebDataset come back with the rows."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbours among the pictures; `first` is the position of the first of them."""

    first: int
    refs: tuple[ImageRef, ...]

    @property
    def positions(self) -> range:
        """The positions of its pictures."""
        return range(self.first, self.first + len(self.refs))


def chunks_of(
    refs: Iterable[ImageRef], done: Sequence[range] = (), *, pictures: int = PICTURES, megabytes: float = MEGABYTES
) -> Iterator[Chunk]:
    """Divide pictures, lazily, into chunks of so many or of so many megabytes; one larger than that is alone.

    `done` are positions that are left out, as ranges in order.
    """
    first, kept, size_mb = 0, list[ImageRef](), 0.0
    for position, ref in _left(refs, done):
        cost_mb = _size_mb(ref)
        apart = position != first + len(kept)
        if kept and (apart or len(kept) >= pictures or size_mb + cost_mb > megabytes):
            yield Chunk(first, tuple(kept))
            kept, size_mb = [], 0.0
        first = first if kept else position
        kept.append(_from_anywhere(ref))
        size_mb += cost_mb
    if kept:
        yield Chunk(first, tuple(kept))


def _left(refs: Iterable[ImageRef], done: Sequence[range]) -> Iterator[tuple[int, ImageRef]]:
    ranges = iter(done)
    now = next(ranges, None)
    for position, ref in enumerate(refs):
        while now is not None and position >= now.stop:
            now = next(ranges, None)
        if now is None or position < now.start:
            yield position, ref


def _size_mb(ref: ImageRef) -> float:
    return len(ref.content.data) / 1e6 if isinstance(ref.content, Bytes) else ref.size_mb


def _from_anywhere(ref: ImageRef) -> ImageRef:
    """The same picture by a path that does not depend on the working folder; its name stays."""
    if isinstance(ref.content, (LocalFile, TarMember)):
        return replace(ref, content=replace(ref.content, path=os.path.abspath(ref.content.path)))
    return ref
