"""The one thing in a picture's texts that its pixels depend on: which way up it is."""

from __future__ import annotations

import re
import struct

EXIF_HEADER = b"Exif\x00\x00"

_ORIENTATION = 0x0112
_SHORT = 3
_ENTRY_LIMIT = 1_000
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')  # where Pillow looks if EXIF does not say it


def from_exif(block: bytes) -> int:
    """The orientation, 1 to 8, in a block of EXIF with or without its header; 0 if it has none."""
    tiff = block.removeprefix(EXIF_HEADER)
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 10:
        return 0
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    if directory + 2 > len(tiff):
        return 0
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for index in range(min(count, _ENTRY_LIMIT)):
        start = directory + 2 + 12 * index
        if start + 12 > len(tiff):
            break
        tag, kind, _count, value = struct.unpack_from(order + "HHIH", tiff, start)
        if tag == _ORIENTATION:
            return value if kind == _SHORT and 1 <= value <= 8 else 0
    return 0


def from_xmp(packet: bytes) -> int:
    """The orientation, 1 to 8, in an XMP packet; 0 if it has none."""
    found = _IN_XMP.search(packet)
    return int(found[1]) if found else 0


def exif_of(orientation: int) -> bytes:
    """A TIFF structure that holds an orientation and nothing else, little-endian."""
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, _ORIENTATION, _SHORT, 1, orientation, 0, 0)
