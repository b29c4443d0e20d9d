"""TIFF: the texts of its first directory, XMP, IPTC and C2PA.

Sources: TIFF 6.0; Adobe's XMP specification, part 3, 2.4; C2PA 2.1, A.3 (TIFF).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from unprompt.images.metadata import exif
from unprompt.images.metadata.containers.pieces import BLOCK_LIMIT_BYTES, Data, Piece, Place

_PLACES: dict[int, Place] = {700: "xmp", 33723: "iptc", 34377: "iptc", 52545: "c2pa"}


def pieces(data: Data) -> Iterator[Piece]:
    """Yield what may hold text; the whole file is a block of EXIF."""
    yield Piece("exif", cast("bytes", data))  # a mapped file is sliced like bytes, and not copied
    for tag, value in exif.values(data, _PLACES, BLOCK_LIMIT_BYTES):
        yield Piece(_PLACES[tag], value)
