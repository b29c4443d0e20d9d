"""GIF: comments, XMP and C2PA, which stand in extensions between the frames. Source: GIF89a, 24 and 26."""

from __future__ import annotations

import re
from collections.abc import Iterator

from unprompt.images.metadata.containers.pieces import BLOCK_LIMIT_BYTES, Data, Piece

_BLOCK_LIMIT = 1_000_000  # the sub-blocks of a file of 255 MB
_EXTENSION, _FRAME = 0x21, 0x2C
_COMMENT, _APPLICATION = 0xFE, 0xFF
_XMP, _C2PA = b"XMP DataXMP", b"C2PA_GIF"
_ESCAPED_LINE = re.compile(rb"\\n(?:Negative prompt: |Steps: )")


def pieces(data: Data) -> Iterator[Piece]:
    """Yield what may hold text."""
    position = 13 + _colours(data, 10)
    left = _BLOCK_LIMIT
    while left > 0 and position + 2 < len(data):
        start = position
        if data[position] == _EXTENSION:
            body = position + 2
        elif data[position] == _FRAME and position + 9 < len(data):
            body = position + 11 + _colours(data, position + 9)
        else:
            return
        position, left = _end(data, body, left - 1)
        if data[start] == _EXTENSION and position <= len(data):
            yield from _extension(data, data[start + 1], body, position)


def _colours(data: Data, at: int) -> int:
    """The size of the colour table that these flags announce."""
    return 3 << (data[at] & 7) + 1 if at < len(data) and data[at] & 0x80 else 0


def _end(data: Data, position: int, left: int) -> tuple[int, int]:
    """The position behind a chain of sub-blocks, and how many more may be looked at."""
    size = len(data)
    while position < size and left > 0 and (length := data[position]):
        position += length + 1
        left -= 1
    return position + 1, left


def _extension(data: Data, label: int, start: int, end: int) -> Iterator[Piece]:
    if end - start > BLOCK_LIMIT_BYTES:
        return
    name = data[start + 1 : start + 12] if label == _APPLICATION and data[start] == 11 else b""
    if label == _COMMENT:
        yield Piece("text", _lines(_joined(data[start:end])).rstrip(b"\x00"), "Comment")
    elif name == _XMP:
        # XMP is not cut into sub-blocks; behind it, 257 bytes lead a reader of sub-blocks to their end.
        yield Piece("xmp", data[start + 12 : end].rpartition(b"\x01\xff\xfe")[0] or data[start + 12 : end])
    elif name.startswith(_C2PA):
        yield Piece("c2pa", _joined(data[start + 12 : end]))


def _joined(chain: bytes) -> bytes:
    """The contents of a chain of sub-blocks."""
    parts, position = [], 0
    while position < len(chain) and (length := chain[position]):
        parts.append(chain[position + 1 : position + 1 + length])
        position += length + 1
    return b"".join(parts)


def _lines(comment: bytes) -> bytes:
    """An infotext with its line ends, which sd-webui-animatediff escapes in a GIF."""
    if b"\n" in comment or comment.startswith(b"{") or not _ESCAPED_LINE.search(comment):
        return comment
    return comment.replace(b"\\n", b"\n")
