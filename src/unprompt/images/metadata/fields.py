"""Extracts the raw texts from a file, whatever its format, without decoding a picture or a frame.

`containers/` finds the pieces, one module for each kind of file; here they are unpacked and decoded within limits.
"""

from __future__ import annotations

import importlib
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unprompt.images.metadata.containers.pieces import BLOCK_LIMIT_BYTES, XMP_HEADER, Piece

if TYPE_CHECKING:
    from unprompt.images.metadata.containers.pieces import Data

TEXT_LIMIT_BYTES = 8 * 2**20

_PIECE_LIMIT = 1_000
_TRIES = 8  # blocks of EXIF, of XMP and of IPTC that are read; a normal file has one of each
_DEFLATE_RATIO = 1032  # the most bytes that one byte of deflate can decompress to
_HEAD_BYTES = 16
_TIFF_SIGNATURE = re.compile(rb"II\*\x00|MM\x00\*")

_CONTAINERS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"\xff\xd8"), "jpeg"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "webp"),
    (re.compile(rb".{4}(?:ftyp|moov|mdat|wide|free|skip|JXL )", re.DOTALL), "bmff"),
    (re.compile(rb"GIF8[79]a"), "gif"),
    (re.compile(rb"II\*\x00|MM\x00\*"), "tiff"),
    (re.compile(rb"\x1a\x45\xdf\xa3"), "ebml"),
)
"""How a file begins, and the module of `containers` that reads it."""


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


def extract(data: Data) -> Fields:
    """Extract the raw texts of a file; empty for a format that is unknown or holds none.

    `data` is the whole file, or a `mmap.mmap` of it, of which only the parts with texts are read.
    """
    head = data[:_HEAD_BYTES]
    name = next((name for beginning, name in _CONTAINERS if beginning.match(head)), None)
    if name is None:
        return Fields()
    container = importlib.import_module(f"{__package__}.containers.{name}")
    return _gathered(container.pieces(data))


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


def _gathered(pieces: Iterable[Piece]) -> Fields:
    """The texts of the first pieces, as many as the limits allow."""
    found = _Gathering()
    for count, piece in enumerate(pieces):
        if count >= _PIECE_LIMIT or not found.add(piece):
            break
    return Fields(found.text, found.exif, found.xmp, found.iptc, found.c2pa)


class _Gathering:
    """Unpacks and decodes pieces, and counts what that takes: the bytes of texts, and the blocks of each kind."""

    def __init__(self) -> None:
        self.text: dict[str, str] = {}
        self.exif: Mapping[str, str] = {}
        self.xmp: Mapping[str, str] = {}
        self.iptc: Mapping[str, str] = {}
        self.c2pa = b""
        self._left = TEXT_LIMIT_BYTES
        self._tries = {"exif": _TRIES, "xmp": _TRIES, "iptc": _TRIES}

    def add(self, piece: Piece) -> bool:
        """Take a piece; False if there is no room for another."""
        if piece.place == "text":
            self._add_text(piece)
            return self._left > 0
        if piece.place == "c2pa":
            self.c2pa = self.c2pa or piece.body
        elif self._tries[piece.place] > 0:
            self._tries[piece.place] -= 1
            body = self._unpacked(piece)
            if body is not None:
                self._add_block(piece.place, body)
        return True

    def _add_text(self, piece: Piece) -> None:
        body = self._unpacked(piece)
        if body is None:
            return
        if not piece.packing:
            if len(body) > self._left:
                return
            self._left -= len(body)
        if piece.name not in self.text:
            self.text[piece.name] = decode(body)

    def _add_block(self, place: str, body: bytes) -> None:
        """Read a block; a property that an earlier one has stays."""
        if body[: len(XMP_HEADER)] == XMP_HEADER:  # ImageMagick names both kinds of a JPEG's APP1 alike
            place, body = "xmp", body[len(XMP_HEADER) :]
        if place == "xmp":
            from unprompt.images.metadata import xmp

            self.xmp = {**xmp.read(body), **self.xmp}
        elif place == "exif":
            from unprompt.images.metadata import exif

            said = {name: text for name, text in self.exif.items() if text.strip()}
            self.exif = {**exif.read(_from_signature(body)), **said}
        elif place == "iptc" and not self.iptc:
            from unprompt.images.metadata import iptc

            self.iptc = iptc.read(body)

    def _unpacked(self, piece: Piece) -> bytes | None:
        """The body without compression and hexadecimal; None if it is broken or too large."""
        body: bytes | None = piece.body
        if piece.packing:
            unpack = inflate if piece.packing == "deflate" else _unbrotli
            body, cost = unpack(piece.body, self._left)
            self._left -= cost
        return _from_hex(body) if piece.is_hex and body is not None else body


def _from_signature(block: bytes) -> bytes:
    """A block of EXIF without what stands before it: `Exif`, or in a box of JPEG XL its offset."""
    signature = _TIFF_SIGNATURE.search(block[:_HEAD_BYTES])
    return block[signature.start() :] if signature and signature.start() else block


def _from_hex(profile: bytes) -> bytes | None:
    """The bytes of a raw profile: a line break, a name, a length, then lines of hexadecimal digits."""
    parts = profile.split(None, 2)
    if len(parts) < 3 or not parts[1].isdigit() or len(parts[2]) > BLOCK_LIMIT_BYTES:
        return None
    try:
        return bytes.fromhex(parts[2].decode("ascii"))
    except ValueError:
        return None


def _unbrotli(body: bytes, limit: int) -> tuple[bytes | None, int]:
    """Decompress like `inflate`; nothing without the package `brotli`, of a release that can stop at a limit."""
    try:
        import brotli

        stream = brotli.Decompressor()
        output: bytes = stream.process(body, output_buffer_limit=max(1, limit))
        return (output if stream.is_finished() and len(output) <= limit else None), len(output)
    except Exception:  # brotli.error, and a TypeError of releases before 1.2
        return None, 0 if len(body) > limit else len(body)
