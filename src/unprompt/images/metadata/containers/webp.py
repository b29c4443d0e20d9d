"""WebP: EXIF, XMP and C2PA chunks of a RIFF file."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from unprompt.images.metadata.containers.pieces import Data, Piece, Place, block

_CHUNK_LIMIT = 100_000
_HEAD = struct.Struct("<4sI")
_PLACES: dict[bytes, Place] = {b"EXIF": "exif", b"XMP ": "xmp", b"C2PA": "c2pa"}


def chunks(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the body of each complete chunk."""
    position, size = 12, len(data)
    for _ in range(_CHUNK_LIMIT):
        if position + 8 > size:
            return
        kind, length = _HEAD.unpack(data[position : position + 8])
        start, position = position + 8, position + 8 + length + length % 2
        if start + length > size:
            return
        yield kind, start, start + length


def pieces(data: Data) -> Iterator[Piece]:
    """Yield what may hold text."""
    for kind, start, end in chunks(data):
        if (place := _PLACES.get(kind)) is not None:
            yield Piece(place, block(data, start, end))
