"""WebM and MKV: the tags of a file of EBML elements; clusters, which hold the frames, are skipped.

An element is a number, a length and a body, which may be elements again. Sources: RFC 8794 (EBML), RFC 9559 (Matroska).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from unprompt.images.metadata.containers.pieces import Data, Piece, block, tag_name

_ELEMENT_LIMIT = 100_000
_DEPTH_LIMIT = 8  # of tags inside tags
_TAGS_BYTES = b"\x12\x54\xc3\x67"
_SEGMENT, _SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x18538067, 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_INFO, _TITLE, _TAGS, _TAG = 0x1549A966, 0x7BA9, 0x1254C367, 0x7373
_SIMPLE_TAG, _TAG_NAME, _TAG_STRING = 0x67C8, 0x45A3, 0x4487


class _Element(NamedTuple):
    kind: int
    start: int
    end: int


class _Elements:
    """The elements of a file, of which a limited number is looked at."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._left = _ELEMENT_LIMIT

    def within(self, start: int, end: int) -> Iterator[_Element]:
        """Yield the complete elements between two positions; one of unknown length reaches to the end."""
        while start < end and self._left > 0:
            self._left -= 1
            kind, body = self._number(start, keep_mark=True)
            length, body = self._number(body) if body else (0, 0)
            if not body:
                return
            if length is None:
                length = end - body
            if body + length > end:
                return
            yield _Element(kind or 0, body, body + length)
            start = body + length

    def _number(self, at: int, *, keep_mark: bool = False) -> tuple[int | None, int]:
        """A number of one to eight bytes and the position behind it; None: unknown, position 0: there is none.

        As many zero bits as it has further bytes stand before a mark bit and the number itself.
        """
        head = self._data[at : at + 8]
        if not head or not head[0]:
            return None, 0
        size = 9 - head[0].bit_length()
        value = int.from_bytes(head[:size], "big")
        if size > len(head):
            return None, 0
        if not keep_mark:
            value &= (1 << 7 * size) - 1
            if value == (1 << 7 * size) - 1:
                return None, at + size
        return value, at + size


def pieces(data: Data) -> Iterator[Piece]:
    """Yield the title and the tags, which stand before the clusters or behind them."""
    elements = _Elements(data)
    for segment in elements.within(0, len(data)):
        if segment.kind != _SEGMENT:
            continue
        places: list[int] = []
        seen = set()
        for element in elements.within(segment.start, segment.end):
            if element.kind == _TAGS:
                seen.add(element.start)
                yield from _tags(data, elements, element)
            elif element.kind == _INFO:
                yield from _texts(data, elements, element, _TITLE, "title")
            elif element.kind == _SEEK_HEAD:
                places += _tags_places(data, elements, element)
        for start in _far_tags(data, segment, places):
            tags = next(elements.within(start, len(data)), None)
            if tags is not None and tags.kind == _TAGS and tags.start not in seen:
                seen.add(tags.start)
                yield from _tags(data, elements, tags)


def _far_tags(data: Data, segment: _Element, places: list[int]) -> list[int]:
    """Where tags stand that a walk may miss: behind a cluster that a live stream left open, or a torn one."""
    starts = [segment.start + place for place in places[:10]]
    last = data.rfind(_TAGS_BYTES, max(segment.start, len(data) - 2**20))
    return [start for start in (*starts, last) if segment.start <= start < len(data)]


def _tags_places(data: Data, elements: _Elements, head: _Element) -> Iterator[int]:
    """Where the table of contents says that tags are, from the start of the segment's body."""
    for seek in elements.within(head.start, head.end):
        if seek.kind == _SEEK:
            parts = {part.kind: data[part.start : min(part.end, part.start + 8)] for part in elements.within(*seek[1:])}
            if parts.get(_SEEK_ID) == _TAGS_BYTES and _SEEK_POSITION in parts:
                yield int.from_bytes(parts[_SEEK_POSITION], "big")


def _tags(data: Data, elements: _Elements, tags: _Element) -> Iterator[Piece]:
    for tag in elements.within(tags.start, tags.end):
        if tag.kind == _TAG:
            yield from _simple_tags(data, elements, tag, 0)


def _simple_tags(data: Data, elements: _Elements, parent: _Element, depth: int) -> Iterator[Piece]:
    """Each tag's name and text; a tag may have tags of its own."""
    for tag in elements.within(parent.start, parent.end):
        if tag.kind != _SIMPLE_TAG:
            continue
        name, text = "", b""
        for part in elements.within(tag.start, tag.end):
            if part.kind == _TAG_NAME:
                name = data[part.start : min(part.end, part.start + 80)].decode("utf-8", "replace")
            elif part.kind == _TAG_STRING:
                text = block(data, part.start, part.end)
        if name.strip("\x00") and text:
            yield Piece("text", text.rstrip(b"\x00"), tag_name(name.strip("\x00")))
        if depth < _DEPTH_LIMIT:
            yield from _simple_tags(data, elements, tag, depth + 1)


def _texts(data: Data, elements: _Elements, parent: _Element, kind: int, name: str) -> Iterator[Piece]:
    for element in elements.within(parent.start, parent.end):
        if element.kind == kind:
            yield Piece("text", block(data, element.start, element.end).rstrip(b"\x00"), tag_name(name))
