"""The few EXIF tags that generators use.

An entry of a TIFF directory is twelve bytes, easy to read by hand: Pillow's reader warns and raises in many ways on
broken data, and leaves decoding the character codes of `UserComment` to the caller.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from unprompt.images.metadata.containers.pieces import Data

_NAMES = {
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x013C: "HostComputer",
    0x8298: "Copyright",
    0x927C: "MakerNote",
    0x9286: "UserComment",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
}
_EXIF_DIRECTORY = 0x8769
_TEXT_TYPES = (1, 2, 7, 129)  # BYTE, ASCII, UNDEFINED, UTF-8 (EXIF 3.0): one byte each
_LOOK_AT = 200  # characters that show whether a text's bytes are turned round
_ENTRY_LIMIT = 1_000
_VALUE_LIMIT_BYTES = 4 * 2**20
_TEXTS_LIMIT_BYTES = 12 * 2**20
_SEARCH_LIMIT_BYTES = 8 * 2**20
# A code has eight bytes, but some writers forget what fills it up, and some write NULs before it.
_CODE = re.compile(
    rb"\x00{0,16}(?:(UNICODE|Unicode)(?:\x00| ?(?=[^\x00]?\x00))|(ASCII)(?:\x00{1,3}| {3})|(JIS)(?:\x00{1,5}| {5}))"
)
_SWAPPED_CODE = b"NUCIDO\x00E"
_NO_CODE = bytes(8)
_GRAPHS = {  # ComfyUI's texts, and the tags under which it writes them
    "Model": (b"prompt:{", b"prompt: {", b"Prompt:{", b"Prompt: {"),
    "Make": (b"workflow:{", b"workflow: {", b"Workflow:{", b"Workflow: {"),
}
_CONTROLS = re.compile("[\x01-\x08\x0e-\x1f\ufffd]")


class _Entry(NamedTuple):
    """An entry of a directory: a tag, a type, how many values, and the first four bytes of them or their offset."""

    tag: int
    kind: int
    number: int
    value: bytes


def read(data: Data) -> Mapping[str, str]:
    """Read texts by tag name from a TIFF structure; empty if it is broken.

    Both the first directory and the EXIF directory are searched, since Fooocus puts `UserComment` in the first. A text
    whose offset is stale, because a program changed the block without counting again, is found by how it begins.
    """
    order = _order(data)
    if order is None:
        return {}
    texts: dict[str, str] = {}
    left = _TEXTS_LIMIT_BYTES
    for entry in _all_entries(data, order):
        name = _NAMES.get(entry.tag)
        if name is None or name in texts or entry.kind not in _TEXT_TYPES or left <= 0:
            continue
        body = _body(data, order, entry)
        left -= len(body)
        text = _text(name, body, order)
        if name == "UserComment" and (astray := _stray_comment(data, body, text, entry)) is not None:
            text = user_comment(astray, order)
        texts[name] = text
    if "UserComment" not in texts and (astray := _comment_by_code(data, _VALUE_LIMIT_BYTES)) is not None:
        texts["UserComment"] = user_comment(astray, order)
    return texts | _stray_graphs(data, texts)


def values(data: Data, tags: Container[int], limit: int) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value, of at most `limit` bytes, of the first directory's first entry with each of these tags."""
    order = _order(data)
    if order is None:
        return
    seen = set()
    for entry in _entries(data, order, _number(order, data[4:8])):
        if entry.tag in tags and entry.tag not in seen:
            seen.add(entry.tag)
            size = 4 if entry.kind == 4 else 1  # IPTC is often declared as a list of 32-bit numbers
            yield entry.tag, _body(data, order, entry._replace(number=entry.number * size), limit)


def user_comment(body: bytes, order: str = ">") -> str:
    """Decode a `UserComment`: eight bytes that name the character code, then the text.

    `order` ("<" or ">") is the directory's byte order, used if a UNICODE text does not show its own: piexif
    (AUTOMATIC1111) writes big-endian, ImageSharp (SwarmUI) little-endian. Source: EXIF 2.3, 4.6.5.
    """
    if body.startswith(_SWAPPED_CODE):
        body = _swapped(body)
    code = _CODE.match(body)
    if code is None:  # many tools omit it
        return _uncoded(body.removeprefix(_NO_CODE), order)
    text = body[code.end() :]
    if code[1]:
        return _utf16(text, order)
    return _plain(text) if code[2] else _jis(text)


def _order(data: Data) -> str | None:
    return {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4]) if len(data) >= 8 else None


def _number(order: str, value: bytes) -> int:
    return int.from_bytes(value, "little" if order == "<" else "big")


def _all_entries(data: Data, order: str) -> Iterator[_Entry]:
    """The entries of the first directory and of the EXIF directory that it points at."""
    offsets = [_number(order, data[4:8])]
    for offset in offsets:
        for entry in _entries(data, order, offset):
            if entry.tag == _EXIF_DIRECTORY and len(offsets) == 1:
                offsets.append(_number(order, entry.value))
            else:
                yield entry


def _entries(data: Data, order: str, offset: int) -> Iterator[_Entry]:
    if offset + 2 > len(data):
        return
    (count,) = struct.unpack(order + "H", data[offset : offset + 2])
    for index in range(min(count, _ENTRY_LIMIT)):
        start = offset + 2 + 12 * index
        if start + 12 > len(data):
            return
        yield _Entry(*struct.unpack(order + "HHI4s", data[start : start + 12]))


def _body(data: Data, order: str, entry: _Entry, limit: int = _VALUE_LIMIT_BYTES) -> bytes:
    """The value's bytes: up to four are stored in the entry, more at the offset that it holds."""
    if entry.number <= 4:
        return entry.value[: entry.number]
    start = _number(order, entry.value)
    return data[start : start + min(entry.number, limit)]


def _text(name: str, body: bytes, order: str) -> str:
    if name == "UserComment":
        return user_comment(body, order)
    return _utf16(body, "<") if name.startswith("XP") else _plain(body)


# --- texts that stand elsewhere in the block ---


def _stray_comment(data: Data, body: bytes, text: str, entry: _Entry) -> bytes | None:
    """The comment that begins with its code somewhere in the block, if what the entry points at is no whole text."""
    is_whole = _CODE.match(body) or not (_CONTROLS.search(text[:200]) or 0 in body.strip(b"\x00"))
    if text and is_whole:
        return None
    return _comment_by_code(data, entry.number, b"UNICODE\x00", b"ASCII\x00\x00\x00")


def _comment_by_code(data: Data, length: int, *codes: bytes) -> bytes | None:
    """The bytes from the first of these codes on."""
    for code in codes or (b"UNICODE\x00",):  # a GPS method begins with ASCII's
        if (start := data.find(code, 8, _SEARCH_LIMIT_BYTES)) >= 0:
            return data[start : start + min(length, _VALUE_LIMIT_BYTES)]
    return None


def _stray_graphs(data: Data, texts: Mapping[str, str]) -> dict[str, str]:
    """ComfyUI's graphs that begin somewhere in the block with their name, if no tag leads to the whole of them."""
    named = {text[:9].partition(":")[0].lower() for text in texts.values() if text.rstrip().endswith("}")}
    found: dict[str, str] = {}
    for name, (tag, beginnings) in zip(("prompt", "workflow"), _GRAPHS.items(), strict=True):
        starts = (data.find(beginning, 8, _SEARCH_LIMIT_BYTES) for beginning in beginnings)
        start = min((start for start in starts if start >= 0), default=None) if name not in named else None
        if start is not None:
            text = _plain(data[start : start + _VALUE_LIMIT_BYTES])
            if text.partition("{")[2].lstrip().startswith('"'):
                found[tag] = text
    return found


# --- encodings ---


def _plain(body: bytes) -> str:
    """A text in UTF-8 or Latin-1, up to the NUL that ends it."""
    body = body.lstrip(b"\x00").partition(b"\x00")[0]
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")
    return _turned(text) if _is_turned(text[:_LOOK_AT]) else text


def _is_turned(text: str) -> bool:
    """Whether these are Latin letters with their two bytes turned round: a site read UTF-16 in the wrong order."""
    return len(text) >= 8 and sum(not ord(character) & 0xFF for character in text) > 0.9 * len(text)


def _turned(text: str) -> str:
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-le", "replace")


def _uncoded(body: bytes, order: str) -> str:
    """A text without a code: UTF-16 if a quarter of its bytes are NULs between the others."""
    start = body.lstrip(b"\x00")
    return _utf16(body, order) if start.rstrip(b"\x00").count(0) * 4 > len(start) else _plain(body)


def _jis(body: bytes) -> str:
    """ISO 2022-JP, which switches alphabets by escapes; without any it is plain."""
    return body.decode("iso2022_jp", "replace").strip("\x00") if b"\x1b" in body else _plain(body)


def _utf16(body: bytes, order: str) -> str:
    """UTF-16 in the byte order that its mark or its letters show, else in that of the directory."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _until_nul(body.decode("utf-16", "replace"))
    high_first, low_first = body[::2].count(0), body[1::2].count(0)  # Latin letters have a zero high byte
    if not body.strip(b"\x00").count(0) and _is_utf8(body.strip(b"\x00")):
        return _plain(body)  # UTF-8 in spite of its code
    if high_first != low_first:
        order = ">" if high_first > low_first else "<"
    return _until_nul(body.decode("utf-16-be" if order == ">" else "utf-16-le", "replace"))


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _until_nul(text: str) -> str:
    return text.lstrip("\x00\ufeff").partition("\x00")[0]


def _swapped(body: bytes) -> bytes:
    """The bytes with each pair turned round, as a program leaves them that took them for 16-bit numbers."""
    turned = bytearray(body[: len(body) // 2 * 2])
    turned[::2], turned[1::2] = turned[1::2], turned[::2]
    return bytes(turned)
