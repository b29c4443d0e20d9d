"""WebM and Matroska: elements of texts become `Void`, filled with zeros, so that no offset moves. Source: RFC 9559."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from unprompt.images.metadata.stripping.damage import damaged, fragmented

_NAME = "WebM or MKV"
_ELEMENT_LIMIT = 1_000_000
_HEAD, _SEGMENT, _INFO, _TRACKS, _TRACK = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE
_TAGS, _ATTACHMENTS, _TITLE, _NAME_OF_TRACK, _CHECKSUM, _VOID = 0x1254C367, 0x1941A469, 0x7BA9, 0x536E, 0xBF, 0xEC
_TEXTS = {
    _SEGMENT: frozenset({_TAGS, _ATTACHMENTS, _VOID}),
    _INFO: frozenset({_TITLE, _CHECKSUM, _VOID}),
    _TRACKS: frozenset({_CHECKSUM, _VOID}),
    _TRACK: frozenset({_NAME_OF_TRACK, _CHECKSUM, _VOID}),
}
"""What is blanked in which parent; a checksum goes where what it is about may change."""

_ENTERED = {_SEGMENT: (_INFO, _TRACKS), _TRACKS: (_TRACK,)}

_LONGEST_SHORT = 128  # bytes of an element whose size is written in one byte


@dataclass(frozen=True, slots=True)
class _Element:
    """An element: its number, and where it, its body and its end are; `is_open` if its size is not written."""

    kind: int
    start: int
    body: int
    end: int
    is_open: bool


def strip(data: bytes) -> bytes:
    """Copy a video of the same size. Raises PictureError (truncated, too-large)."""
    copy = bytearray(data)
    left = [_ELEMENT_LIMIT]
    for element in _elements(data, 0, len(data), left):
        if element.kind == _SEGMENT:
            _strip_inside(copy, element, left)
        elif element.kind != _HEAD:
            _blank(copy, element)
    return bytes(copy)


def _strip_inside(copy: bytearray, parent: _Element, left: list[int]) -> None:
    """Blank the texts among the children, also in those that are entered."""
    for element in _elements(copy, parent.body, parent.end, left):
        if element.kind in _TEXTS[parent.kind]:
            _blank(copy, element)
        elif element.kind in _ENTERED.get(parent.kind, ()):
            _strip_inside(copy, element, left)


def _elements(data: bytes | bytearray, position: int, end: int, left: list[int]) -> Iterator[_Element]:
    """The elements from `position` to `end`; the children of one without a size follow it as its siblings."""
    while position < end:
        left[0] -= 1
        if left[0] < 0:
            raise fragmented(_NAME, _ELEMENT_LIMIT)
        kind, size_at, _ = _number(data, position, end, keeps_mark=True)
        size, body, is_open = _number(data, size_at, end)
        stop = end if is_open else body + size
        if stop > end:
            raise damaged(_NAME)
        yield _Element(kind, position, body, stop, is_open)
        position = body if is_open and kind != _SEGMENT else stop


def _number(data: bytes | bytearray, position: int, end: int, *, keeps_mark: bool = False) -> tuple[int, int, bool]:
    """A number of one to eight bytes, where it ends, and whether all its bits are set."""
    length = 9 - data[position].bit_length() if position < end else 9
    if length > 8 or position + length > end:
        raise damaged(_NAME)
    value = int.from_bytes(data[position : position + length], "big")
    mark = 1 << 7 * length
    bare = value & (mark - 1)
    return (value if keeps_mark else bare), position + length, bare == mark - 1


def _blank(copy: bytearray, element: _Element) -> None:
    if element.is_open:
        raise damaged(_NAME)
    size = element.end - element.start
    if size <= _LONGEST_SHORT:
        head = bytes([_VOID, 0x80 | size - 2])
    else:
        head = bytes([_VOID]) + (1 << 56 | size - 9).to_bytes(8, "big")
    copy[element.start : element.end] = head + bytes(size - len(head))
