"""WebP: the chunks of pixels, colour and animation. Source: RFC 9649, section 2."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from unprompt.images.metadata.stripping.damage import damaged, fragmented
from unprompt.images.metadata.stripping.orientation import exif_of, from_exif, from_xmp

_CHUNK_LIMIT = 100_000
_OF_PIXELS = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_HAS_EXIF, _HAS_XMP = 0x08, 0x04
_FRAME_HEADER = 16
_CANVAS_BYTES = 10


def strip(data: bytes) -> bytes:
    """Copy a WebP up to the end that its header names. Raises PictureError (truncated, too-large)."""
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    kept, exif, xmp = [], 0, 0
    for kind, body in _chunks(data, 12, end):
        if kind == b"EXIF":
            exif = exif or from_exif(body)
        elif kind == b"XMP ":
            xmp = xmp or from_xmp(body)
        elif kind == b"ANMF":
            kept.append((kind, _frame(body)))
        elif kind in _OF_PIXELS:
            kept.append((kind, body))
    if not kept or (kept[0][0] == b"VP8X" and len(kept[0][1]) < _CANVAS_BYTES):
        raise damaged("WebP")
    orientation = exif or xmp
    if kept[0][0] == b"VP8X":
        kept[0] = (b"VP8X", _flagged(kept[0][1], orientation))
    chunks = [_chunk(kind, body) for kind, body in kept]
    if orientation > 1 and kept[0][0] == b"VP8X":
        chunks.append(_chunk(b"EXIF", exif_of(orientation)))
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(content).to_bytes(4, "little") + content


def _chunks(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(_CHUNK_LIMIT):
        if position + 8 > end:  # less than a header is filling
            return
        kind, length = struct.unpack_from("<4sI", data, position)
        start, position = position + 8, position + 8 + length + length % 2
        if start + length > end:
            raise damaged("WebP")
        yield kind, data[start : start + length]
    raise fragmented("WebP", _CHUNK_LIMIT)


def _frame(body: bytes) -> bytes:
    """A frame of an animation, whose own chunks may be followed by unknown ones."""
    chunks = (_chunk(kind, inner) for kind, inner in _chunks(body, _FRAME_HEADER, len(body)) if kind in _OF_PIXELS)
    return body[:_FRAME_HEADER] + b"".join(chunks)


def _flagged(body: bytes, orientation: int) -> bytes:
    """The header that says which other chunks there are."""
    flags = body[0] & ~(_HAS_EXIF | _HAS_XMP) | (_HAS_EXIF if orientation > 1 else 0)
    return bytes([flags]) + body[1:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + b"\x00" * (len(body) % 2)
