"""Texts hidden in the lowest bits of the pixels ("stealth pnginfo"), as NovelAI and a web UI extension write them.

The bits run down each column, left to right: 15 bytes of magic, 32 bits for the length in bits, then UTF-8 text,
gzipped if the magic ends in "comp". Source: NovelAI/novelai-image-metadata, nai_meta.py, and sd_webui_stealth_pnginfo.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.fields import PNG_SIGNATURE, Fields, decode, inflate, is_webp, png_chunks, webp_chunks

if TYPE_CHECKING:
    from PIL.Image import Image

# Generators make a few megapixels. Pillow needs 4 bytes per pixel for a PNG, but nearly 20 for a WebP.
PNG_PIXEL_LIMIT = 2**24
WEBP_PIXEL_LIMIT = 2**22
_TEXT_LIMIT_BYTES = 8 * 2**20
_GZIP = zlib.MAX_WBITS | 16
_MAGICS = {b"stealth_pnginfo": False, b"stealth_pngcomp": True, b"stealth_rgbinfo": False, b"stealth_rgbcomp": True}
_MAGIC_BYTES = 15
_HEAD_BYTES = _MAGIC_BYTES + 4  # and the length
_ALPHA, _COLOUR = slice(3, 4), slice(0, 3)
# What Pillow's plugins are known to raise.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)

Pixels = npt.NDArray[np.uint8]


def reveal(
    data: bytes, *, png_pixel_limit: int = PNG_PIXEL_LIMIT, webp_pixel_limit: int = WEBP_PIXEL_LIMIT
) -> Fields | None:
    """Read the hidden texts of a PNG or WebP with an alpha channel; None if there are none or it is too large."""
    picture = _opened(data, png_pixel_limit, webp_pixel_limit)
    text = None if picture is None else _hidden_text(picture)
    if text is None:
        return None
    entries = bounded_json.parse_object(text)
    if not entries:
        return Fields({"parameters": text})
    return Fields({key: value for key, value in entries.items() if isinstance(value, str)})


def _hidden_text(picture: Image) -> str | None:
    """The text after a magic in the lowest bits of alpha or of colour, or None."""
    for channels in (_ALPHA, _COLOUR):
        head = _bytes(picture, channels, 0, _HEAD_BYTES)
        if len(head) < _HEAD_BYTES or (compressed := _MAGICS.get(head[:_MAGIC_BYTES])) is None:
            continue
        length = int.from_bytes(head[_MAGIC_BYTES:], "big") // 8
        if length > _TEXT_LIMIT_BYTES:
            continue
        body = _bytes(picture, channels, _HEAD_BYTES, length)
        text = inflate(body, _TEXT_LIMIT_BYTES, wbits=_GZIP)[0] if compressed else body
        if text:
            return decode(text)
    return None


def _bytes(picture: Image, channels: slice, start: int, count: int) -> bytes:
    """`count` hidden bytes from byte `start` on, or fewer at the end of the picture."""
    column_bits = picture.height * len(range(4)[channels])
    first, last = start * 8, (start + count) * 8
    left, right = first // column_bits, min(-(-last // column_bits), picture.width)
    if left >= right:
        return b""
    columns: Pixels = np.asarray(picture.crop((left, 0, right, picture.height)))[:, :, channels]
    bits = columns.transpose(1, 0, 2).ravel() & 1
    wanted = bits[first - left * column_bits : last - left * column_bits]
    return np.packbits(wanted[: len(wanted) // 8 * 8]).tobytes()


def _opened(data: bytes, png_pixel_limit: int, webp_pixel_limit: int) -> Image | None:
    """Decode the picture to RGBA; None if it cannot hide anything, is broken or is too large."""
    from PIL.Image import DecompressionBombError

    try:
        if data.startswith(PNG_SIGNATURE):
            return _opened_png(data, png_pixel_limit)
        return _opened_webp(data, webp_pixel_limit) if is_webp(data) else None
    except (DecompressionBombError, *_BROKEN):
        return None


def _opened_png(data: bytes, pixel_limit: int) -> Image | None:
    # Generators write eight bits, colour type RGBA, no interlacing. The whole picture is decoded only if its top holds
    # a magic, so other transparent pictures cost little.
    width, height, kind, _, interlaced = struct.unpack_from(">II2sHB", data.ljust(29, b"\0"), 16)
    if kind != b"\x08\x06" or interlaced or not 0 < width * height <= pixel_limit:
        return None
    top = _png_rows(data, width, min(height, _HEAD_BYTES * 8))
    if not _holds_magic(top):
        return None
    return _png_rows(data, width, height)


def _holds_magic(top: Image) -> bool:
    return any(_bytes(top, channels, 0, _MAGIC_BYTES) in _MAGICS for channels in (_ALPHA, _COLOUR))


def _png_rows(data: bytes, width: int, rows: int) -> Image:
    """Decode the upper rows of a PNG, without text, profiles and animation, for which Pillow may warn or raise."""
    from PIL.PngImagePlugin import PngImageFile

    header = struct.pack(">II5B", width, rows, 8, 6, 0, 0, 0)
    missing = rows * (1 + 4 * width) * 9 // 8 + 2**16  # more than any encoder makes of incompressible pixels
    parts: list[bytes] = []
    for kind, start, end in png_chunks(data):
        if kind == b"IDAT" and missing > 0:
            parts.append(data[start : min(end, start + missing)])
            missing -= len(parts[-1])
    chunks = ((b"IHDR", header), (b"IDAT", b"".join(parts)), (b"IEND", b""))
    file = PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    picture = PngImageFile(BytesIO(file))
    picture.load()
    return picture


def _opened_webp(data: bytes, pixel_limit: int) -> Image | None:
    from PIL.WebPImagePlugin import WebPImageFile

    # The header is checked first: while opening, Pillow allocates a canvas, warns or raises.
    kind, head = next(webp_chunks(data), (b"", b""))
    if not 0 < _clear_pixels(kind, head.ljust(10, b"\0")) <= pixel_limit:
        return None
    picture = WebPImageFile(BytesIO(data))
    if picture.mode != "RGBA" or picture.width * picture.height > pixel_limit:  # other chunks may say otherwise
        return None
    picture.load()
    return picture


def _clear_pixels(kind: bytes, head: bytes) -> int:
    """The number of pixels according to the first chunk of a WebP; 0 without transparency."""
    if kind == b"VP8X" and head[0] & 0x10:
        return (int.from_bytes(head[4:7], "little") + 1) * (int.from_bytes(head[7:10], "little") + 1)
    if kind == b"VP8L" and head[4] & 0x10:
        sides = int.from_bytes(head[1:5], "little")
        return ((sides & 0x3FFF) + 1) * ((sides >> 14 & 0x3FFF) + 1)
    return 0
