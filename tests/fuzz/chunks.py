"""A file as the chunks it is made of: joined again they are the file, and each can be lost, doubled or moved."""

from __future__ import annotations

import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def split(data: bytes) -> list[bytes]:
    """The head (signature), then the chunks, segments, boxes or blocks; what is not understood comes last."""
    if data.startswith(PNG_SIGNATURE):
        return _walk(data, 8, lambda at: 12 + int.from_bytes(data[at : at + 4], "big"))
    if data.startswith(b"\xff\xd8"):
        return _walk(data, 2, lambda at: _jpeg_segment(data, at))
    if data[:4] == b"RIFF":
        return _walk(data, 12, lambda at: _padded(8 + int.from_bytes(data[at + 4 : at + 8], "little")))
    if data[4:8] in (b"ftyp", b"JXL "):
        return _boxes(data)
    if data[:4] == b"\x1aE\xdf\xa3":
        return [b"", *_elements(data)]
    if data[:3] == b"GIF":
        return _gif(data)
    return _entries(data)


def join(head: bytes, chunks: list[bytes]) -> bytes:
    """The file again, with the sizes in a RIFF head made right."""
    body = b"".join(chunks)
    if head[:4] == b"RIFF" and len(head) == 12:
        head = b"RIFF" + struct.pack("<I", (4 + len(body)) & 0xFFFFFFFF) + head[8:]
    return head + body


def mend_checksums(data: bytes) -> bytes:
    """A PNG with right checksums, so that damage inside a chunk reaches what reads it."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    head, *chunks = split(data)
    return head + b"".join(
        chunk[:-4] + struct.pack(">I", zlib.crc32(chunk[4:-4])) if len(chunk) >= 12 else chunk for chunk in chunks
    )


def _walk(data: bytes, start: int, length_at) -> list[bytes]:  # type: ignore[no-untyped-def]
    parts, at = [data[:start]], start
    while at < len(data) and len(parts) < 2_000:
        end = at + max(1, length_at(at))
        parts.append(data[at:end])
        at = end
    return parts


def _padded(length: int) -> int:
    return length + length % 2


def _jpeg_segment(data: bytes, at: int) -> int:
    """The length of a marker segment; that of a scan includes its entropy-coded data."""
    marker = data[at + 1 : at + 2]
    if marker in (b"\xd8", b"\xd9", b""):
        return 2
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if marker == b"\xda":
        while end < len(data) and not (data[end] == 0xFF and data[end + 1 : end + 2] not in _STUFFED):
            end += 1
    return end - at


_STUFFED = (b"\0", *(bytes([0xD0 + n]) for n in range(8)))


def _boxes(data: bytes) -> list[bytes]:
    """The boxes of a file; those inside a box of boxes are chunks of their own, after its head."""
    return [piece for part in _walk(data, 0, lambda at: _box_length(data, at)) for piece in _inside(part, 8)]


def _box_length(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _inside(part: bytes, depth: int) -> list[bytes]:
    start = {b"meta": 12, b"moov": 8, b"udta": 8, b"ilst": 8, b"iinf": 14}.get(part[4:8])
    if start is None or not depth:
        return [part]
    head, *children = _walk(part, start, lambda at: _box_length(part, at))
    return [head, *(piece for child in children for piece in _inside(child, depth - 1))]


def _elements(data: bytes, depth: int = 5) -> list[bytes]:
    """The elements of a file; those inside a segment or tags are chunks of their own, after its head."""
    found = []
    for part in _walk(data, 0, lambda at: sum(_element_head(data, at)))[1:]:
        if depth and part.startswith(_ELEMENTS_OF_ELEMENTS):
            start, _ = _element_head(part, 0)
            found += [part[:start], *_elements(part[start:], depth - 1)]
        else:
            found.append(part)
    return found


_ELEMENTS_OF_ELEMENTS = (b"\x18\x53\x80\x67", b"\x12\x54\xc3\x67", b"\x73\x73", b"\x67\xc8")  # segment, tags


def _element_head(data: bytes, at: int) -> tuple[int, int]:
    """The length of an element's head and of its body."""
    number = 9 - data[at].bit_length() if data[at] else 1
    mark = data[at + number] if at + number < len(data) else 0
    size = 9 - mark.bit_length() if mark else 1
    body = int.from_bytes(data[at + number : at + number + size], "big") & ((1 << 7 * size) - 1)
    return number + size, body


def _gif(data: bytes) -> list[bytes]:
    colours = 3 << ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0
    return _walk(data, 13 + colours, lambda at: _gif_block(data, at))


def _gif_block(data: bytes, at: int) -> int:
    end = at + 2
    if data[at : at + 1] == b",":
        packed = data[at + 9] if at + 9 < len(data) else 0
        end = at + 11 + (3 << ((packed & 7) + 1) if packed & 0x80 else 0)
    while end < len(data) and data[end]:
        end += data[end] + 1
    return end + 1 - at


def _entries(data: bytes) -> list[bytes]:
    """A TIFF's first directory entry by entry, or any file cut in eight."""
    order = {b"II": "little", b"MM": "big"}.get(data[:2])
    at = int.from_bytes(data[4:8], order) if order else 0  # type: ignore[arg-type]
    if order and data[2:4] in (b"*\0", b"\0*") and at + 2 < len(data):
        count = min(64, int.from_bytes(data[at : at + 2], order))  # type: ignore[arg-type]
        cuts = [at + 2 + 12 * index for index in range(count + 1)]
    else:
        cuts = [len(data) * eighth // 8 for eighth in range(1, 8)]
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
