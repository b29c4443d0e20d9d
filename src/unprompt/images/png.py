"""PNG for decoding: without the chunks that no pixel depends on, and by strips, for which little memory is enough.

A strip becomes a small PNG of its own, which Pillow unfilters: a row's filter needs no other row than the one above.
Source: PNG 1.2, 6 (filters) and 2.3 (order of bytes).
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from unprompt.errors import PictureError
from unprompt.images.metadata.containers.png import SIGNATURE, ImageData, chunks

STRIP_PIXELS = 2**20
"""Pixels that are decoded and converted at a time, in whole rows."""

_CHUNKS_OF_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"})
_HEADER = struct.Struct(">IIBBBBB")
_BYTES_A_PIXEL = 48  # of a strip, in all its forms, measured
_CHANNELS = {2: 3, 4: 2, 6: 4}
"""By colour type: colour, grey with alpha, both. Pillow keeps four bytes a pixel of these, of others one or two."""


def bare(data: bytes, runs_limit: int) -> bytes:
    """Keep only the chunks that the pixels depend on. Raises PictureError (too-large) if they are in too many pieces.

    While opening, Pillow unpacks text and colour profiles, and refuses a picture if its text is long or damaged.
    Viewers show such a picture, and generators write long texts.
    """
    whole = memoryview(data)
    kept, start, position, name = [], 0, len(SIGNATURE), b""
    while position < len(data) and name != b"IEND":
        name = data[position + 4 : position + 8]
        if not name.isalpha():  # no chunk, and so is whatever follows
            break
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")  # length, name, data, checksum
        if name not in _CHUNKS_OF_PIXELS:
            if start < position:
                kept.append(whole[start:position])
            start = end
        position = end
        if len(kept) > runs_limit:
            raise too_fragmented(runs_limit)
    if not kept and start == 0:
        return data
    return b"".join([*kept, whole[start:position]])


def too_fragmented(limit: int) -> PictureError:
    """The error for a file in more pieces than any encoder writes."""
    return PictureError(
        "too-large",
        f"expected a picture in pieces as encoders write them, found more than {limit:,} of them; save it again",
    )


def has_strips(data: bytes) -> bool:
    """Whether `Strips` decodes this PNG: one of 8 or 16 bits, not interlaced, in colour or with alpha."""
    _, _, depth, kind, _, _, interlaced = _HEADER.unpack_from(data.ljust(29, b"\0"), 16)
    return depth in (8, 16) and kind in _CHANNELS and not interlaced


class Strips:
    """The rows of a PNG, from the top to the bottom, as Pillow decodes them from the whole; `height` is their number.

    Of 16 bits a channel the upper 8 are decoded. `data` is a bare PNG that `has_strips`.
    """

    def __init__(self, data: bytes) -> None:
        self.width: int
        self.height: int
        self.width, self.height, depth, kind, *_ = _HEADER.unpack_from(data, 16)
        self._step = depth // 8
        self._header = struct.pack(">BBBBB", 8, kind, 0, 0, 0)
        self._line = 1 + self.width * _CHANNELS[kind]
        self._transparency = _body(data, b"tRNS")
        self._exif = _body(data, b"eXIf") or b""
        self._packed = ImageData(data)
        self._above = b""
        self._at = 0

    @property
    def memory_mb(self) -> float:
        """The memory that decoding takes, strip by strip, until it is RGB."""
        return _BYTES_A_PIXEL * max(STRIP_PIXELS, 2 * self.width) / 1_000_000

    def getexif(self) -> Image.Exif:
        """The EXIF, as Pillow's picture has it. Raises what Pillow raises for broken EXIF."""
        exif = Image.Exif()
        exif.load(self._exif)
        return exif

    def rows(self, top: int, bottom: int) -> Image.Image:
        """Decode rows, which begin at the end of those before, or one above it.

        Raises OSError for data that is cut off, and what Pillow and zlib raise.
        """
        new = self._taken(bottom - self._at)
        first = top - self._at + (1 if self._above else 0)
        part = self._decoded(self._above + new)
        self._above = b"\0" + part.crop((0, part.height - 1, part.width, part.height)).tobytes()
        self._at = bottom
        return part.crop((0, first, part.width, part.height)) if first else part

    def _taken(self, count: int) -> bytes:
        """The next rows, still filtered, as rows of 8 bits a channel."""
        size = count * (1 + (self._line - 1) * self._step)
        rows = self._packed.take(size)
        if len(rows) < size:
            raise OSError("image file is truncated")
        if self._step == 1:
            return rows
        # The filters work on each byte of a pixel alone, so the upper ones are a picture of their own.
        lines = np.frombuffer(rows, np.uint8).reshape(count, -1)
        return np.concatenate((lines[:, :1], lines[:, 1 :: self._step]), axis=1).tobytes()

    def _decoded(self, rows: bytes) -> Image.Image:
        height = len(rows) // self._line
        packer = zlib.compressobj(0)
        file = SIGNATURE + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in (
                (b"IHDR", struct.pack(">II", self.width, height) + self._header),
                *([] if self._transparency is None else [(b"tRNS", self._transparency)]),
                (b"IDAT", packer.compress(rows) + packer.flush()),
                (b"IEND", b""),
            )
        )
        image = PngImageFile(io.BytesIO(file))
        image.load()
        return image


def _body(data: bytes, wanted: bytes) -> bytes | None:
    """The body of the last chunk of this kind, which is the one that counts for Pillow."""
    found = None
    for kind, start, end in chunks(data):
        if kind == wanted:
            found = data[start:end]
    return found
