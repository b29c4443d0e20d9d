"""PNG: text chunks, EXIF, XMP, C2PA, and the profiles in hexadecimal that ImageMagick writes as texts.

Chunks are read by hand, not by Pillow, which raises at its limits on text, stops at the pixels (some tools write after
them), and rejects a wrong checksum, which is no reason to lose a prompt.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from unprompt.images.metadata.containers.pieces import BLOCK_LIMIT_BYTES, Data, Packing, Piece, Place, block

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHUNK_LIMIT = 100_000
_STEP_BYTES = 2**16
_HEAD = struct.Struct(">I4s")
_XMP_KEYWORD = "XML:com.adobe.xmp"
_RAW_PROFILE = "Raw profile type "
_PROFILES: dict[str, Place] = {"exif": "exif", "app1": "exif", "xmp": "xmp", "iptc": "iptc", "8bim": "iptc"}
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


def chunks(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the body of each complete chunk, including those after the pixels.

    Checksums are not verified.
    """
    position, size = len(SIGNATURE), len(data)
    for _ in range(_CHUNK_LIMIT):
        if position + 8 > size:
            return
        length, kind = _HEAD.unpack(data[position : position + 8])
        start, position = position + 8, position + 12 + length
        if start + length > size:
            return
        yield kind, start, start + length


class ImageData:
    """The unpacked image data of a PNG, of which no more is unpacked than is asked for."""

    def __init__(self, data: Data) -> None:
        self._packed = _packed(data)
        self._stream = zlib.decompressobj()

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end. Raises zlib.error for damaged data."""
        found: list[bytes] = []
        while count and not self._stream.eof:
            piece = self._stream.unconsumed_tail or next(self._packed, b"")
            unpacked = self._stream.decompress(piece, count)
            if not piece and not unpacked:
                break
            found.append(unpacked)
            count -= len(unpacked)
        return b"".join(found)

    def skip(self, count: int) -> None:
        """Pass over the next `count` bytes."""
        while count > 0 and (passed := len(self.take(min(count, _STEP_BYTES)))):
            count -= passed


def _packed(data: Data) -> Iterator[bytes]:
    for kind, start, end in chunks(data):
        if kind == b"IDAT":
            for at in range(start, end, _STEP_BYTES):
                yield data[at : min(end, at + _STEP_BYTES)]


def pieces(data: Data) -> Iterator[Piece]:
    """Yield what may hold text."""
    for kind, start, end in chunks(data):
        if kind == b"IDAT":
            continue
        if kind in _TEXTS and 0 < end - start <= BLOCK_LIMIT_BYTES:
            yield _text(kind, data[start:end])
        elif kind == b"eXIf":
            yield Piece("exif", block(data, start, end))
        elif kind == b"caBX":
            yield Piece("c2pa", block(data, start, end))


def _text(kind: bytes, body: bytes) -> Piece:
    name, _, rest = body.partition(b"\x00")
    keyword = name[:80].decode("latin-1")
    packed = kind == b"zTXt"
    if packed:
        rest = rest[1:]  # the compression method; there is only one
    elif kind == b"iTXt":
        packed = rest[:1] == b"\x01"
        _, _, rest = rest[2:].partition(b"\x00")  # language
        _, _, rest = rest.partition(b"\x00")  # translated keyword
    packing: Packing = "deflate" if packed else ""
    if keyword == _XMP_KEYWORD:
        return Piece("xmp", rest, keyword, packing)
    if keyword.startswith(_RAW_PROFILE) and (place := _PROFILES.get(keyword[len(_RAW_PROFILE) :].lower())):
        return Piece(place, rest, keyword, packing, is_hex=True)
    return Piece("text", rest, keyword, packing)
