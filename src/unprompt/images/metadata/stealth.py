"""Texts hidden in the lowest bits of the pixels ("stealth pnginfo"), as NovelAI and a web UI extension write them.

Bits run down each column, left to right: 15 bytes of magic, 32 bits of length in bits, then UTF-8 text, gzipped where
the magic ends in "comp". Source: NovelAI/novelai-image-metadata, nai_meta.py, and sd_webui_stealth_pnginfo.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.fields import PNG_SIGNATURE, Fields, decode, inflate, is_webp, webp_chunks

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_PIXEL_LIMIT = 100_000_000
_TEXT_LIMIT_BYTES = 8 * 2**20
_GZIP = zlib.MAX_WBITS | 16
_MAGICS = {
    b"stealth_pnginfo": False,
    b"stealth_pngcomp": True,
    b"stealth_rgbinfo": False,
    b"stealth_rgbcomp": True,
}
_MAGIC_BYTES = 15

Pixels = npt.NDArray[np.uint8]


def reveal(data: bytes) -> Fields | None:
    """The hidden texts of a PNG or WebP with an alpha channel, or None. Decodes the picture, up to 100 megapixels."""
    pixels = _pixels(data)
    if pixels is None:
        return None
    text = _hidden_text(pixels[:, :, 3:]) or _hidden_text(pixels[:, :, :3])
    if text is None:
        return None
    entries = bounded_json.parse_object(text)
    if not entries:
        return Fields({"parameters": text})
    return Fields({key: value for key, value in entries.items() if isinstance(value, str)})


def _hidden_text(channels: Pixels) -> str | None:
    """What the lowest bits of these channels (height, width, channels) spell after a magic, or None."""
    head = _bytes(channels, 0, _MAGIC_BYTES + 4)
    compressed = _MAGICS.get(head[:_MAGIC_BYTES])
    if compressed is None or len(head) < _MAGIC_BYTES + 4:
        return None
    length = int.from_bytes(head[_MAGIC_BYTES:], "big") // 8
    if length > _TEXT_LIMIT_BYTES:
        return None
    body = _bytes(channels, _MAGIC_BYTES + 4, length)
    text = inflate(body, _TEXT_LIMIT_BYTES, wbits=_GZIP)[0] if compressed else body
    return decode(text) if text else None


def _bytes(channels: Pixels, start: int, count: int) -> bytes:
    """`count` bytes from byte `start` on; fewer where the picture ends."""
    height, _, depth = channels.shape
    column_bits = height * depth
    first, last = start * 8, (start + count) * 8
    left, right = first // column_bits, -(-last // column_bits)
    bits = channels[:, left:right].transpose(1, 0, 2).ravel() & 1
    wanted = bits[first - left * column_bits : last - left * column_bits]
    return np.packbits(wanted[: len(wanted) // 8 * 8]).tobytes()


def _pixels(data: bytes) -> Pixels | None:
    """(height, width, 4), or None where there is no alpha channel or the picture is broken or too large."""
    if not _has_alpha(data):
        return None
    from PIL.Image import DecompressionBombError

    broken = (DecompressionBombError, OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, zlib.error)
    try:
        with _open(data) as picture:
            width, height = picture.size
            if picture.mode != "RGBA" or not 0 < width * height <= _PIXEL_LIMIT:
                return None
            return np.asarray(picture)
    except broken:  # what Pillow's plugins are known to raise
        return None


def _has_alpha(data: bytes) -> bool:
    if data.startswith(PNG_SIGNATURE):
        # Eight bits, colour type RGBA. Pillow warns about broken animations; no tool hides a text in one.
        return data[24:26] == b"\x08\x06" and b"acTL" not in data
    if not is_webp(data):
        return False
    kind, body = next(webp_chunks(data), (b"", b""))
    if kind == b"VP8X":
        return bool(body[:1]) and bool(body[0] & 0x10)
    return kind == b"VP8L" and len(body) > 4 and bool(body[4] & 0x10)


def _open(data: bytes) -> ImageFile:
    # The plugins' classes are used directly: Image.open warns about large pictures, and the limit here is our own.
    if data.startswith(PNG_SIGNATURE):
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(BytesIO(data))
    from PIL.WebPImagePlugin import WebPImageFile

    return WebPImageFile(BytesIO(data))
