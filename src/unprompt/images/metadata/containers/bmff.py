"""Files of boxes: AVIF and HEIC, JPEG XL in its container, MP4 and MOV.

A box is a length, a type and a body, which may be boxes again. Sources: ISO/IEC 14496-12 (boxes, items), 23008-12 and
AVIF (EXIF and XMP as items), 18181-2 (JPEG XL); QuickTime File Format (user data, `keys` and `ilst`); C2PA 2.1, A.5.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from unprompt.images.metadata.containers.pieces import BLOCK_LIMIT_BYTES, Data, Piece, block, tag_name

_BOX_LIMIT = 50_000
_ITEM_LIMIT = 10_000
_EXTENT_LIMIT = 20_000  # of all items together
_WANTED_LIMIT = 16
_SIGNATURE_LIMIT = 8
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_BRANDS_OF_VIDEO = re.compile(rb"qt|iso|mp4|M4|avc|dash|3g|mmp4|f4v|MSNV")
_TIFF_SIGNATURES = (b"II*\x00", b"MM\x00*")
_APPLE = "com.apple.quicktime."
_TAGS = {
    b"\xa9cmt": "comment",
    b"\xa9des": "description",
    b"desc": "description",
    b"ldes": "description",
    b"dscp": "description",
    b"\xa9nam": "title",
    b"titl": "title",
    b"\xa9too": "software",
    b"\xa9swr": "software",
    b"\xa9enc": "software",
    b"\xa9ART": "artist",
    b"\xa9aut": "author",
    b"\xa9cpy": "copyright",
    b"cprt": "copyright",
}
_TEXT_OF_3GP = (b"dscp", b"titl", b"cprt")  # a full box with a language before the text


class _Box(NamedTuple):
    kind: bytes
    start: int
    end: int


class _Boxes:
    """The boxes of a file, of which a limited number is looked at."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._left = _BOX_LIMIT

    def within(self, start: int, end: int) -> Iterator[_Box]:
        """Yield the complete boxes between two positions; a body starts behind the box's head."""
        while start + 8 <= end and self._left > 0:
            self._left -= 1
            length, kind = struct.unpack(">I4s", self._data[start : start + 8])
            body = start + 8
            if length == 1 and start + 16 <= end:
                (length,) = struct.unpack(">Q", self._data[body : body + 8])
                body += 8
            elif length == 0:  # the last box of a file may leave it open
                length = end - start
            if length < body - start or length > end - start:
                return
            yield _Box(kind, body, start + length)
            start += length

    def first(self, kind: bytes, start: int, end: int) -> _Box | None:
        """The first box of this type between two positions."""
        return next((box for box in self.within(start, end) if box.kind == kind), None)


def pieces(data: Data) -> Iterator[Piece]:
    """Yield what may hold text; EXIF that no table of items leads to is found by its signature."""
    boxes = _Boxes(data)
    has_exif = False
    for box in boxes.within(0, len(data)):
        for piece in _top(data, boxes, box):
            has_exif = has_exif or piece.place == "exif"
            yield piece
    if not has_exif and data[4:8] == b"ftyp" and not _BRANDS_OF_VIDEO.match(data[8:12]):
        yield from _exifs_by_signature(data)


def _top(data: Data, boxes: _Boxes, box: _Box) -> Iterator[Piece]:
    """What a box of the outermost level holds."""
    kind, start, end = box
    if kind == b"meta":
        yield from _items(data, boxes, start + 4, end)
        yield from _tags(data, boxes, start, end)
    elif kind == b"moov":
        yield from _movie(data, boxes, start, end)
    elif kind == b"uuid":
        yield from _uuid(data, start, end)
    elif kind == b"Exif":
        yield Piece("exif", _tiff(block(data, start, end)))
    elif kind == b"xml ":
        yield Piece("xmp", block(data, start, end))
    elif kind == b"jumb":
        yield Piece("c2pa", block(data, start - 8, end))
    elif kind == b"brob":
        yield from _compressed(block(data, start, end))


def _compressed(body: bytes) -> Iterator[Piece]:
    """A box of JPEG XL that is packed by Brotli, behind its true type."""
    if body[:4] == b"Exif":
        yield Piece("exif", body[4:], packing="brotli")
    elif body[:4] == b"xml ":
        yield Piece("xmp", body[4:], packing="brotli")


def _uuid(data: Data, start: int, end: int) -> Iterator[Piece]:
    kind = data[start : start + 16]
    if kind == _XMP_UUID:
        yield Piece("xmp", block(data, start + 16, end))
    elif kind == _C2PA_UUID:
        # Version and flags, a purpose, an offset, then the manifest, whose first box is `jumb`.
        body = block(data, start + 16, end)
        if (at := body.find(b"jumb", 4, 200)) >= 0:
            yield Piece("c2pa", body[at - 4 :])


def _exifs_by_signature(data: Data) -> Iterator[Piece]:
    starts: list[int] = []
    for signature in _TIFF_SIGNATURES:
        start = data.find(signature)
        while start >= 0 and len(starts) < 2 * _SIGNATURE_LIMIT:
            starts.append(start)
            start = data.find(signature, start + 1)
    for start in sorted(starts)[:_SIGNATURE_LIMIT]:
        yield Piece("exif", block(data, start, len(data)))


def _tiff(body: bytes) -> bytes:
    """The EXIF block of an item: four bytes say how far behind them it starts. pillow-jxl-plugin omits them."""
    if body.startswith(_TIFF_SIGNATURES):
        return body
    (offset,) = struct.unpack(">I", body[:4].rjust(4, b"\x00"))
    return body[4 + offset :] if offset < len(body) else body[4:]


# --- the items of a picture ---


def _items(data: Data, boxes: _Boxes, start: int, end: int) -> Iterator[Piece]:
    """The items of types `Exif` and `mime` (XMP)."""
    children = {box.kind: box for box in boxes.within(start, end)}
    if not {b"iinf", b"iloc"} <= children.keys():
        return
    wanted = _wanted_items(data, boxes, children[b"iinf"])
    table = block(data, children[b"iloc"].start, children[b"iloc"].end)
    for item, ranges in _places(table, wanted, children.get(b"idat")):
        if (kind := wanted.pop(item, None)) is not None:  # once: an item may be named again and again
            body = _collected(data, ranges)
            yield Piece("exif", _tiff(body)) if kind == b"Exif" else Piece("xmp", body)


def _wanted_items(data: Data, boxes: _Boxes, table: _Box) -> dict[int, bytes]:
    """Type by number, of the items that are EXIF or XMP."""
    found: dict[int, bytes] = {}
    wide = table.start < table.end and data[table.start] > 0
    for box in boxes.within(table.start + (8 if wide else 6), table.end):
        if box.kind != b"infe" or len(found) >= _WANTED_LIMIT:
            continue
        entry = data[box.start : min(box.end, box.start + 300)].ljust(16, b"\x00")
        number, rest = (entry[4:8], entry[10:]) if entry[0] >= 3 else (entry[4:6], entry[8:])
        if rest[:4] == b"Exif" or (rest[:4] == b"mime" and b"application/rdf+xml" in rest):
            found[int.from_bytes(number, "big")] = rest[:4]
    return found


def _places(table: bytes, wanted: dict[int, bytes], inside: _Box | None) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield the wanted items' numbers with the ranges of the file in which they stand, of a table `iloc`."""
    reader = _Numbers(table)
    version, sizes = reader.take(1), reader.skip(3).take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    number_size = 4 if version >= 2 else 2
    extents_left = _EXTENT_LIMIT
    for _ in range(min(reader.take(number_size), _ITEM_LIMIT)):
        if reader.is_at_end() or extents_left <= 0:
            return
        number = reader.take(number_size)
        method = reader.take(2) & 15 if version in (1, 2) else 0
        base = reader.skip(2).take(base_size)
        count = min(reader.take(2), extents_left)
        extents_left -= count
        if number not in wanted or method > 1 or (method == 1 and inside is None):
            reader.skip(count * (index_size + offset_size + length_size))
            continue
        base += inside.start if method == 1 and inside else 0
        yield (
            number,
            [(base + reader.skip(index_size).take(offset_size), reader.take(length_size)) for _ in range(count)],
        )


class _Numbers:
    """Numbers one after the other; behind the end all are zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> int:
        start, self._position = self._position, self._position + size
        return int.from_bytes(self._data[start : self._position], "big")

    def skip(self, size: int) -> _Numbers:
        self._position += size
        return self

    def is_at_end(self) -> bool:
        return self._position >= len(self._data)


def _collected(data: Data, ranges: list[tuple[int, int]]) -> bytes:
    """The bytes of these ranges; a length of zero means up to the end."""
    parts, left = [], BLOCK_LIMIT_BYTES
    for start, length in ranges:
        part = data[start : min(start + (length or left), start + left)]
        parts.append(part)
        left -= len(part)
        if left <= 0:
            break
    return b"".join(parts)


# --- the tags of a video ---


def _movie(data: Data, boxes: _Boxes, start: int, end: int) -> Iterator[Piece]:
    for box in boxes.within(start, end):
        if box.kind == b"udta":
            for inner in boxes.within(box.start, box.end):
                yield from _user_data(data, boxes, inner)
        elif box.kind == b"meta":
            yield from _tags(data, boxes, box.start, box.end)


def _user_data(data: Data, boxes: _Boxes, box: _Box) -> Iterator[Piece]:
    """A box `meta` with tags, XMP, or a text of QuickTime (length and language before it) or 3GP."""
    kind, start, end = box
    if kind == b"meta":
        yield from _tags(data, boxes, start, end)
    elif kind == b"XMP_":
        yield Piece("xmp", block(data, start, end))
    elif kind in _TEXT_OF_3GP:
        yield Piece("text", block(data, start + 6, end).rstrip(b"\x00"), tag_name(_TAGS[kind]))
    elif kind[:1] == b"\xa9":
        length = int.from_bytes(data[start : start + 2], "big")
        text = block(data, start + 4, min(end, start + 4 + length))
        yield Piece("text", text.rstrip(b"\x00"), tag_name(_TAGS.get(kind, kind[1:].decode("latin-1"))))


def _tags(data: Data, boxes: _Boxes, start: int, end: int) -> Iterator[Piece]:
    """The tags of a box `meta`: a list `ilst`, whose types are names, or numbers in a list `keys`.

    In QuickTime, `meta` has no version and flags before its boxes.
    """
    if data[start + 4 : start + 8] != b"hdlr":
        start += 4
    keys: list[str] = []
    for box in boxes.within(start, end):
        if box.kind == b"keys":
            keys = [
                data[key.start : min(key.end, key.start + 80)].decode("utf-8", "replace")
                for key in boxes.within(box.start + 8, box.end)
            ]
        elif box.kind == b"ilst":
            for item in boxes.within(box.start, box.end):
                yield from _item(data, boxes, item, keys)


def _item(data: Data, boxes: _Boxes, item: _Box, keys: list[str]) -> Iterator[Piece]:
    name, number = _TAGS.get(item.kind, ""), int.from_bytes(item.kind, "big")
    if 0 < number <= len(keys):
        name = keys[number - 1].removeprefix(_APPLE)
    for box in boxes.within(item.start, item.end):
        if box.kind == b"name" and item.kind == b"----":
            name = data[box.start + 4 : min(box.end, box.start + 84)].decode("utf-8", "replace")
        elif box.kind == b"data" and name:
            kind, body = data[box.start : box.start + 4], block(data, box.start + 8, box.end)
            if kind == b"\x00\x00\x00\x02":
                body = body.decode("utf-16-be", "replace").encode()
            if kind in _TEXT_KINDS:
                yield Piece("text", body.rstrip(b"\x00"), tag_name(name))


_TEXT_KINDS = tuple(struct.pack(">I", kind) for kind in (0, 1, 2, 4))  # unsaid, UTF-8, UTF-16, UTF-8 for sorting
