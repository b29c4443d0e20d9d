"""JPEG: the comment, EXIF, XMP, IPTC and C2PA, each of which may go on in further segments of 64 KiB.

Sources: EXIF 2.32, 4.7.2; Adobe's XMP specification, part 3, 1.1.3; C2PA 2.1, A.3 (JPEG).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from unprompt.images.metadata.containers.pieces import BLOCK_LIMIT_BYTES, EXIF_HEADER, XMP_HEADER, Data, Piece

_SEGMENT_LIMIT = 10_000
_LONGEST_SEGMENT = 0xFFFF - 2
_HEAD = struct.Struct(">xBH")
_TIFF_MARKS = (b"II*\x00", b"MM\x00*")
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\x00"
_EXTENDED = re.compile(rb"""HasExtendedXMP(?:\s*=\s*["']|\s*>)\s*([0-9A-Fa-f]{32})""")
_PHOTOSHOP = b"Photoshop 3.0\x00"
_COMMENT, _APP1, _APP11, _APP13, _SCAN = 0xFE, 0xE1, 0xEB, 0xED, 0xDA


def segments(data: Data) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the body of each segment before the pixels."""
    position, size = 2, len(data)
    for _ in range(_SEGMENT_LIMIT):
        if position + 4 > size or data[position] != 0xFF:
            return
        marker, length = _HEAD.unpack(data[position : position + 4])
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        end = position + 2 + length
        if marker == _SCAN or length < 2 or end > size:
            return
        yield marker, position + 4, end
        position = end


def pieces(data: Data) -> Iterator[Piece]:
    """Yield what may hold text."""
    bodies: dict[int, list[bytes]] = {_COMMENT: [], _APP1: [], _APP11: [], _APP13: []}
    left = BLOCK_LIMIT_BYTES
    for marker, start, end in segments(data):
        if marker in bodies and left > 0:
            bodies[marker].append(data[start:end])
            left -= end - start
    yield from (Piece("text", comment.rstrip(b"\x00"), "Comment") for comment in _comments(bodies[_COMMENT]))
    yield from (Piece("exif", exif) for exif in _exifs(bodies[_APP1]))
    main = _bodies_behind(XMP_HEADER, bodies[_APP1])
    yield from (Piece("xmp", body) for body in main)
    if extension := _xmp_extension(main, bodies[_APP1]):
        yield Piece("xmp", extension)
    if iptc := b"".join(_bodies_behind(_PHOTOSHOP, bodies[_APP13])):
        yield Piece("iptc", iptc)
    if manifest := _jumbf(bodies[_APP11]):
        yield Piece("c2pa", manifest)


def _bodies_behind(header: bytes, bodies: Iterable[bytes]) -> list[bytes]:
    return [body[len(header) :] for body in bodies if body.startswith(header)]


def _comments(bodies: Iterable[bytes]) -> list[bytes]:
    """The comments; one that fills its segment goes on in the next."""
    return _joined(bodies, lambda last, _body: len(last[-1]) < _LONGEST_SEGMENT)


def _exifs(bodies: Iterable[bytes]) -> list[bytes]:
    """The blocks of EXIF; a segment that does not begin like a block continues the one before."""
    return _joined(_bodies_behind(EXIF_HEADER, bodies), lambda _last, body: body.startswith(_TIFF_MARKS))


def _joined(bodies: Iterable[bytes], begins: Callable[[list[bytes], bytes], bool]) -> list[bytes]:
    """Join bodies; one that `begins` a group, given the one before it, starts the next."""
    groups: list[list[bytes]] = []
    for body in bodies:
        if not groups or begins(groups[-1], body):
            groups.append([])
        groups[-1].append(body)
    return [b"".join(group) for group in groups]


def _xmp_extension(main: Iterable[bytes], bodies: Iterable[bytes]) -> bytes:
    """The extension that a main block of XMP names by its MD5; empty if it is not all here, or has been changed.

    Each part begins with that name (32 digits), the length of the whole and the part's own offset.
    """
    name = next((found[1].upper() for body in main if (found := _EXTENDED.search(body))), None)
    if name is None:
        return b""
    parts: dict[int, bytes] = {}
    length = 0
    for body in _bodies_behind(_XMP_EXTENSION, bodies):
        if len(body) > 40 and body[:32].upper() == name:
            length = int.from_bytes(body[32:36], "big")
            parts.setdefault(int.from_bytes(body[36:40], "big"), body[40:])
    whole = b"".join(parts[offset] for offset in sorted(parts))
    ends = accumulate((len(parts[offset]) for offset in sorted(parts)), initial=0)
    if len(whole) != length or any(offset != end for offset, end in zip(sorted(parts), ends, strict=False)):
        return b""
    import hashlib  # hardly any picture has an extension

    digest = hashlib.md5(whole, usedforsecurity=False).hexdigest()
    return whole if digest.upper().encode() == name else b""


def _jumbf(bodies: Iterable[bytes]) -> bytes:
    """The first box of JUMBF: `JP`, the box's number, this part's number, and in each part the box's head again."""
    parts: dict[int, bytes] = {}
    number = None
    for body in bodies:
        if len(body) < 16 or body[:2] != b"JP" or number not in (None, body[2:4]):
            continue
        number = body[2:4]
        head = 16 if body[8:12] == b"\x00\x00\x00\x01" else 8
        parts.setdefault(int.from_bytes(body[4:8], "big"), body[8:] if not parts else body[8 + head :])
    return b"".join(parts[order] for order in sorted(parts))
