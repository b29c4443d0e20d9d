"""PNG: the chunks that pixels, colours and animation depend on, as they are. Source: PNG 3.0, chapter 11."""

from __future__ import annotations

import struct
import zlib

from unprompt.images.metadata.stripping.damage import damaged, fragmented
from unprompt.images.metadata.stripping.orientation import exif_of, from_exif

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_LIMIT = 1_000_000
_ANCILLARY = frozenset(
    {
        b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"hIST", b"pHYs",
        b"acTL", b"fcTL", b"fdAT",
    }
)  # fmt: skip
_CRITICAL = 0x20  # clear in the first letter of a chunk without which the picture cannot be decoded


def strip(data: bytes) -> bytes:
    """Copy a PNG up to IEND. Raises PictureError (truncated, too-large)."""
    kept = [_SIGNATURE]
    position = len(_SIGNATURE)
    for _ in range(_CHUNK_LIMIT):
        if position + 12 > len(data):
            raise damaged("PNG")
        length, kind = struct.unpack_from(">I4s", data, position)
        start, position = position, position + 12 + length
        if position > len(data):
            raise damaged("PNG")
        if not kind[0] & _CRITICAL or kind in _ANCILLARY:
            kept.append(data[start:position])
        elif kind == b"eXIf" and (orientation := from_exif(data[start + 8 : position - 4])) > 1:
            kept.append(_chunk(b"eXIf", exif_of(orientation)))
        if kind == b"IEND":
            return b"".join(kept)
    raise fragmented("PNG", _CHUNK_LIMIT)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
