"""The raw texts of a picture file, taken out of its container without decoding the picture.

Chunks are walked by hand rather than by Pillow: its text limits raise, it stops at the pixels (some tools write after
them), and a wrong checksum is no reason to lose a prompt.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from unprompt.images.metadata import exif, xmp

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PNG_TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt")
_WEBP_TEXT_KINDS = (b"EXIF", b"XMP ")
_TEXT_LIMIT_BYTES = 8 * 2**20
_TEXT_CHUNK_LIMIT = 1_000
_CHUNK_LIMIT = 100_000
_BLOCK_LIMIT_BYTES = 2 * _TEXT_LIMIT_BYTES
_TRIES = 8  # blocks of EXIF, and of XMP, that are looked into; a file has one of each
_DEFLATE_RATIO = 1032  # the most that a byte of deflate can stand for
_EXIF_HEADER = b"Exif\x00\x00"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"
_XMP_KEYWORD = "XML:com.adobe.xmp"


@dataclass(frozen=True, slots=True)
class Fields:
    """Raw texts by name; the first of several with one name is kept.

    `text` holds PNG text chunks by keyword (a JPEG comment is `Comment` here), `exif` the EXIF tags that generators
    use by their standard names, `xmp` XMP properties by local name.
    """

    text: Mapping[str, str] = field(default_factory=dict)
    exif: Mapping[str, str] = field(default_factory=dict)
    xmp: Mapping[str, str] = field(default_factory=dict)


def extract(data: bytes) -> Fields:
    """The raw texts in a picture file; empty for a format that is not known or has none."""
    if data.startswith(PNG_SIGNATURE):
        return _from_png(data)
    if data.startswith(b"\xff\xd8"):
        return _from_jpeg(data)
    if is_webp(data):
        return _from_webp(data)
    if data[:4] in (b"II*\x00", b"MM\x00*"):
        return Fields(exif=exif.read(data))
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return _from_avif(data)
    return Fields()


def is_webp(data: bytes) -> bool:
    """Whether the file calls itself WebP."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type of each whole chunk, those after the pixels included, and where its body starts and ends.

    Checksums are not looked at.
    """
    position = len(PNG_SIGNATURE)
    for _ in range(_CHUNK_LIMIT):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        start, position = position + 8, position + 12 + length
        if start + length > len(data):
            return
        yield kind, start, start + length


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of each whole RIFF chunk; of a vast text only its beginning, of other chunks 16 bytes."""
    position = 12
    for _ in range(_CHUNK_LIMIT):
        if position + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, position)
        start, position = position + 8, position + 8 + length + length % 2
        if start + length > len(data):
            return
        yield kind, data[start : start + min(length, _BLOCK_LIMIT_BYTES if kind in _WEBP_TEXT_KINDS else 16)]


def decode(body: bytes) -> str:
    """UTF-8 where it is that, else Latin-1: PNG asks for Latin-1, but most tools write UTF-8 there."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def inflate(body: bytes, limit: int, *, wbits: int = zlib.MAX_WBITS) -> tuple[bytes | None, int]:
    """The decompressed bytes, and how many were produced at most. None where broken, cut off or past the limit."""
    stream = zlib.decompressobj(wbits)
    try:
        output = stream.decompress(body, max(1, limit))
    except zlib.error:
        return None, min(limit, _DEFLATE_RATIO * len(body))  # what came out before the fault is not known
    return (output if stream.eof else None), len(output)


def _from_png(data: bytes) -> Fields:
    text: dict[str, str] = {}
    budget, count = _TEXT_LIMIT_BYTES, 0
    for kind, start, end in png_chunks(data):
        if kind not in _PNG_TEXT_KINDS or not 0 < end - start <= _BLOCK_LIMIT_BYTES:
            continue
        count += 1
        if count > _TEXT_CHUNK_LIMIT or budget <= 0:
            break
        keyword, value, cost = _text_chunk(kind, data[start:end], budget)
        budget -= cost
        if value is not None:
            text.setdefault(keyword, value)
    blocks = (
        data[start : min(end, start + _BLOCK_LIMIT_BYTES)] for kind, start, end in png_chunks(data) if kind == b"eXIf"
    )
    return Fields(text, _read_exif(blocks), xmp.read(text.pop(_XMP_KEYWORD, "")))


def _text_chunk(kind: bytes, body: bytes, budget: int) -> tuple[str, str | None, int]:
    """Keyword, text (None where broken or too large) and the bytes that it took from the budget."""
    name, _, rest = body.partition(b"\x00")
    keyword = name[:80].decode("latin-1")
    compressed = kind == b"zTXt"
    if compressed:
        rest = rest[1:]  # the compression method; there is only one
    elif kind == b"iTXt":
        compressed = rest[:1] == b"\x01"
        _, _, rest = rest[2:].partition(b"\x00")  # language
        _, _, rest = rest.partition(b"\x00")  # translated keyword
    if compressed:
        output, cost = inflate(rest, budget)
        return keyword, None if output is None else decode(output), cost
    if len(rest) > budget:
        return keyword, None, 0
    return keyword, decode(rest), len(rest)


def _from_jpeg(data: bytes) -> Fields:
    segments = list(_jpeg_segments(data))
    comment = next((decode(body).rstrip("\x00") for marker, body in segments if marker == 0xFE), None)
    app1 = [body for marker, body in segments if marker == 0xE1]
    return Fields(
        {} if comment is None else {"Comment": comment},
        _read_exif(body for body in app1 if body.startswith(_EXIF_HEADER)),
        _read_xmp(body[len(_XMP_HEADER) :] for body in app1 if body.startswith(_XMP_HEADER)),
    )


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment before the pixels."""
    position = 2
    for _ in range(_TEXT_CHUNK_LIMIT):
        if position + 4 > len(data) or data[position] != 0xFF:
            return
        marker, length = struct.unpack_from(">xBH", data, position)
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        end = position + 2 + length
        if marker == 0xDA or length < 2 or end > len(data):
            return
        yield marker, data[position + 4 : end]
        position = end


def _from_webp(data: bytes) -> Fields:
    return Fields(
        exif=_read_exif(body for kind, body in webp_chunks(data) if kind == b"EXIF"),
        xmp=_read_xmp(body for kind, body in webp_chunks(data) if kind == b"XMP "),
    )


def _from_avif(data: bytes) -> Fields:
    # The EXIF item is known by TIFF's signature: the tables of items are long to walk, and Pillow's reader warns.
    starts = (signature.start() for signature in re.finditer(rb"II\*\x00|MM\x00\*", data))
    return Fields(exif=_read_exif(data[start : start + _BLOCK_LIMIT_BYTES] for start in starts))


def _read_exif(blocks: Iterable[bytes]) -> Mapping[str, str]:
    """The tags of the first block that has any."""
    found = (exif.read(block.removeprefix(_EXIF_HEADER)) for block in islice(blocks, _TRIES))
    return next(filter(None, found), {})


def _read_xmp(blocks: Iterable[bytes]) -> Mapping[str, str]:
    """The properties of the first block that has any."""
    found = (xmp.read(decode(block)) for block in islice(blocks, _TRIES))
    return next(filter(None, found), {})
