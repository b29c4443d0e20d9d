"""The few EXIF tags that generators use.

An entry of a TIFF directory is twelve bytes, easy to read by hand: Pillow's reader warns and raises in many ways on
broken data, and leaves decoding the character codes of `UserComment` to the caller.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

_NAMES = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x927C: "MakerNote",
    0x9286: "UserComment",
}
_EXIF_DIRECTORY = 0x8769
_TEXT_TYPES = (1, 2, 7)  # BYTE, ASCII, UNDEFINED: one byte each
_ENTRY_LIMIT = 1_000
_VALUE_LIMIT_BYTES = 4 * 2**20


def read(data: bytes) -> Mapping[str, str]:
    """Read texts by tag name from a TIFF structure; empty if it is broken.

    Both the first directory and the EXIF directory are searched, since Fooocus puts `UserComment` in the first.
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return {}
    texts: dict[str, str] = {}
    directories = [struct.unpack_from(order + "I", data, 4)[0]]
    for offset in directories:
        for tag, kind, count, value in _entries(data, order, offset):
            if tag == _EXIF_DIRECTORY and len(directories) == 1:
                directories.append(struct.unpack(order + "I", value)[0])
            elif kind in _TEXT_TYPES and (name := _NAMES.get(tag)) and name not in texts:
                body = _body(data, order, count, value)
                texts[name] = user_comment(body, order) if name == "UserComment" else _plain(body)
    return texts


def user_comment(body: bytes, order: str = ">") -> str:
    """Decode a `UserComment`: eight bytes that name the character code, then the text.

    `order` ("<" or ">") is the directory's byte order, used if a UNICODE text does not show its own: piexif
    (AUTOMATIC1111) writes big-endian, ImageSharp (SwarmUI) little-endian. Source: EXIF 2.3, 4.6.5.
    """
    code, text = body[:8], body[8:]
    if code == b"UNICODE\x00":
        return _utf16(text, order)
    if code in (b"ASCII\x00\x00\x00", b"JIS\x00\x00\x00\x00\x00", bytes(8)):
        return _plain(text)
    return _plain(body)  # many tools omit the code


def _entries(data: bytes, order: str, offset: int) -> Iterator[tuple[int, int, int, bytes]]:
    if offset + 2 > len(data):
        return
    (count,) = struct.unpack_from(order + "H", data, offset)
    for index in range(min(count, _ENTRY_LIMIT)):
        start = offset + 2 + 12 * index
        if start + 12 > len(data):
            return
        yield struct.unpack_from(order + "HHI4s", data, start)


def _body(data: bytes, order: str, count: int, value: bytes) -> bytes:
    """The value's bytes: up to four are stored in the entry, more at the offset that it holds."""
    if count <= 4:
        return value[:count]
    (start,) = struct.unpack(order + "I", value)
    return data[start : start + min(count, _VALUE_LIMIT_BYTES)]


def _plain(body: bytes) -> str:
    body = body.rstrip(b"\x00")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _utf16(body: bytes, order: str) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "replace").rstrip("\x00")
    high_first, low_first = body[::2].count(0), body[1::2].count(0)  # Latin letters have a zero high byte
    if not high_first and not low_first and body.isascii():
        return _plain(body)  # UTF-8 in spite of its code
    if high_first != low_first:
        order = ">" if high_first > low_first else "<"
    return body.decode("utf-16-be" if order == ">" else "utf-16-le", "replace").rstrip("\x00")
