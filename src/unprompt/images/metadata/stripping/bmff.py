"""AVIF, HEIC, MP4 and MOV: boxes of texts renamed to `free` and filled with zeros, so that no offset moves.

Sources: ISO/IEC 14496-12 (boxes, `meta`, `iinf`, `iloc`), the QuickTime file format (`udta`, `meta` of a movie).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from unprompt.images.metadata.stripping.damage import damaged, fragmented
from unprompt.images.metadata.stripping.ranges import blank

_NAME = "AVIF, HEIC, JPEG XL, MP4 or MOV"
_BOX_LIMIT = 100_000
_ITEM_LIMIT = 100_000
_ENTERED = {b"": (b"moov", b"moof"), b"moov": (b"trak",), b"trak": (b"mdia",), b"moof": (b"traf",)}
"""The boxes in which boxes of texts are looked for, by the box around them."""

_TEXTS = frozenset({b"udta", b"uuid", b"free", b"skip"})
"""Boxes that are blanked wherever they are: tags, XMP and C2PA, and what editors left behind."""

_ITEMS_OF_TEXT = frozenset({b"Exif", b"mime", b"uri "})
_FREE = b"free"


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its type, and where it, its body and its end are."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(data: bytes | bytearray, position: int, end: int) -> Iterator[Box]:
    """The boxes from `position` to `end`. Raises PictureError (truncated, too-large)."""
    for _ in range(_BOX_LIMIT):
        if position + 8 > end:
            if any(data[position:end]):
                raise damaged(_NAME)
            return  # zeros end a list in QuickTime
        size, kind = struct.unpack_from(">I4s", data, position)
        body = position + 8
        if size == 1:
            if position + 16 > end:
                raise damaged(_NAME)
            size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        size = size or end - position
        if size < body - position or position + size > end:
            raise damaged(_NAME)
        yield Box(kind, position, body, position + size)
        position += size
    raise fragmented(_NAME, _BOX_LIMIT)


def strip(data: bytes) -> bytes:
    """Copy a file of the same size. Raises PictureError (truncated, too-large)."""
    copy = bytearray(data)
    _strip_boxes(copy, b"", 0, len(copy))
    return bytes(copy)


def _strip_boxes(copy: bytearray, around: bytes, start: int, end: int) -> None:
    """Blank the boxes of texts, also in those boxes that are entered."""
    for box in boxes(copy, start, end):
        if box.kind == b"meta" and _holds_items(copy, box):
            _blank_items(copy, box)
        elif box.kind in _TEXTS or box.kind == b"meta":
            _blank(copy, box)
        elif box.kind in _ENTERED.get(around, ()):
            _strip_boxes(copy, box.kind, box.body, box.end)


def _blank(copy: bytearray, box: Box) -> None:
    copy[box.start + 4 : box.start + 8] = _FREE
    copy[box.body : box.end] = bytes(box.end - box.body)


def _holds_items(data: bytearray, meta: Box) -> bool:
    """Whether these are a picture's items, not the tags of a movie, whose box may lack version and flags."""
    if data[meta.body + 4 : meta.body + 8] == b"hdlr":
        return False
    return any(box.kind == b"hdlr" and data[box.body + 8 : box.body + 12] == b"pict" for box in _inner(data, meta))


def _inner(data: bytearray, meta: Box) -> Iterator[Box]:
    return boxes(data, meta.body + 4, meta.end)  # after version and flags


def _blank_items(copy: bytearray, meta: Box) -> None:
    """Overwrite the items of EXIF, XMP and the like, and give them a type that no reader looks for."""
    found = {box.kind: box for box in _inner(copy, meta)}
    texts = _text_items(copy, found[b"iinf"]) if b"iinf" in found else {}
    data_start = found[b"idat"].body if b"idat" in found else 0
    extents = list(_extents(copy, found[b"iloc"], data_start)) if b"iloc" in found else []
    pixels = [(start, end) for item, start, end in extents if item not in texts]
    if not blank(copy, [(start, end) for item, start, end in extents if item in texts], pixels):
        raise damaged(_NAME)
    for place, end in texts.values():
        copy[place : place + 4] = _FREE
        copy[place + 4 : end] = bytes(end - place - 4)
    for box in found.values():
        if box.kind in _TEXTS:
            _blank(copy, box)


def _text_items(data: bytearray, iinf: Box) -> dict[int, tuple[int, int]]:
    """Where the type of each item of text is, and where its entry ends, by the item's number."""
    start = iinf.body + (6 if data[iinf.body : iinf.body + 1] == b"\0" else 8)  # version, flags, count
    found = {}
    for entry in boxes(data, start, iinf.end):
        version = data[entry.body] if entry.body < entry.end else 0
        number_size = 4 if version >= 3 else 2
        place = entry.body + 4 + number_size + 2  # version and flags, number, protection
        kind = bytes(data[place : min(place + 4, entry.end)])
        if entry.kind == b"infe" and version >= 2 and kind in _ITEMS_OF_TEXT:
            number = int.from_bytes(data[entry.body + 4 : entry.body + 4 + number_size], "big")
            found[number] = (place, entry.end)
    return found


def _extents(data: bytearray, iloc: Box, data_start: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each part of each item that is in this file."""
    fields = _Fields(data, iloc.body, iloc.end)
    version = fields.take(4) >> 24
    widths = fields.take(2)
    offset_size, length_size, base_size, index_size = (widths >> shift & 15 for shift in (12, 8, 4, 0))
    number_size = 4 if version == 2 else 2
    left = _ITEM_LIMIT
    for _ in range(fields.take(number_size)):
        number = fields.take(number_size)
        method = fields.take(2) & 15 if version else 0
        source = fields.take(2)
        base = fields.take(base_size)
        for _ in range(fields.take(2)):
            left -= 1
            if left < 0:
                raise fragmented(_NAME, _ITEM_LIMIT)
            fields.take(index_size if version else 0)
            start, length = base + fields.take(offset_size), fields.take(length_size)
            if source == 0 and method in (0, 1):
                start += data_start if method else 0
                yield number, start, start + length if length else len(data)


class _Fields:
    """Numbers of different widths, one after the other."""

    def __init__(self, data: bytearray, position: int, end: int) -> None:
        self._data, self._position, self._end = data, position, end

    def take(self, size: int) -> int:
        """The next number of `size` bytes. Raises PictureError (truncated)."""
        start, self._position = self._position, self._position + size
        if self._position > self._end:
            raise damaged(_NAME)
        return int.from_bytes(self._data[start : self._position], "big")
