"""Extracts the raw texts from a picture file without decoding the picture.

Chunks are read by hand, not by Pillow, which raises at its limits on text, stops at the pixels (some tools write after
them), and rejects a wrong checksum, which is no reason to lose a prompt.
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
_TRIES = 8  # blocks of EXIF, and of XMP, that are tried; a normal file has one of each
_DEFLATE_RATIO = 1032  # the most bytes that one byte of deflate can decompress to
_EXIF_HEADER = b"Exif\x00\x00"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"
_XMP_KEYWORD = "XML:com.adobe.xmp"


@dataclass(frozen=True, slots=True)
class Fields:
    """Raw texts by name; of several with the same name, the first.

    `text` holds PNG text chunks by keyword and the tags of videos by name (a comment of a JPEG or GIF becomes
    `Comment`), `exif` the EXIF tags that generators use by standard name, `xmp` XMP properties by local name, `iptc`
    IPTC datasets by name, and `c2pa` the boxes of a C2PA manifest, as they are.
    """

    text: Mapping[str, str] = field(default_factory=dict)
    exif: Mapping[str, str] = field(default_factory=dict)
    xmp: Mapping[str, str] = field(default_factory=dict)
    iptc: Mapping[str, str] = field(default_factory=dict)
    c2pa: bytes = b""

    def __bool__(self) -> bool:
        return any((self.text, self.exif, self.xmp, self.iptc, self.c2pa))


def extract(data: bytes) -> Fields:
    """Extract the raw texts of a picture file; empty for a format that is unknown or holds none."""
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
    """Whether the file begins like a WebP."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the body of each complete chunk, including those after the pixels.

    Checksums are not verified.
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
    """Yield type and body of each complete RIFF chunk: the start of a very large text, 16 bytes of other chunks."""
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
    """Decode UTF-8 or else Latin-1: PNG specifies Latin-1, but most tools write UTF-8."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def inflate(body: bytes, limit: int, *, wbits: int = zlib.MAX_WBITS) -> tuple[bytes | None, int]:
    """Decompress, and return the bytes and an upper bound of the work in bytes.

    The bytes are None if the data is broken, cut off or decompresses to more than `limit`.
    """
    stream = zlib.decompressobj(wbits)
    try:
        output = stream.decompress(body, max(1, limit))
    except zlib.error:
        return None, min(limit, _DEFLATE_RATIO * len(body))  # how much came out before the error is unknown
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
    """Return keyword, text (None if broken or too large) and the bytes that it took from the budget."""
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
    """Yield marker and body of each segment before the pixels."""
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
    # The EXIF item is found by TIFF's signature: parsing the item tables takes much code, and Pillow's reader warns.
    starts = (signature.start() for signature in re.finditer(rb"II\*\x00|MM\x00\*", data))
    return Fields(exif=_read_exif(data[start : start + _BLOCK_LIMIT_BYTES] for start in starts))


def _read_exif(blocks: Iterable[bytes]) -> Mapping[str, str]:
    """The tags of the first block that has some."""
    found = (exif.read(block.removeprefix(_EXIF_HEADER)) for block in islice(blocks, _TRIES))
    return next(filter(None, found), {})


def _read_xmp(blocks: Iterable[bytes]) -> Mapping[str, str]:
    """The properties of the first block that has some."""
    found = (xmp.read(decode(block)) for block in islice(blocks, _TRIES))
    return next(filter(None, found), {})
