"""Texts hidden in the lowest bits of the pixels ("stealth pnginfo"), as NovelAI and a web UI extension write them.

The bits run down each column, left to right: 15 bytes of magic, 32 bits for the length in bits, then UTF-8 text,
gzipped if the magic ends in "comp". Source: NovelAI/novelai-image-metadata, nai_meta.py, and sd_webui_stealth_pnginfo.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.containers import png, webp
from unprompt.images.metadata.fields import Fields, decode, inflate

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    from unprompt.images.metadata.containers.pieces import Data

    Pixels = npt.NDArray[np.uint8]

# Generators make a few megapixels. Pillow needs 4 bytes per pixel for a PNG, but nearly 20 for a WebP.
PNG_PIXEL_LIMIT = 2**24
WEBP_PIXEL_LIMIT = 2**22
_TEXT_LIMIT_BYTES = 8 * 2**20
_GZIP = zlib.MAX_WBITS | 16
_MAGICS = {b"stealth_pnginfo": False, b"stealth_pngcomp": True, b"stealth_rgbinfo": False, b"stealth_rgbcomp": True}
_MAGIC_BYTES = 15
_HEAD_BYTES = _MAGIC_BYTES + 4  # and the length
_ALPHA, _COLOUR = slice(3, 4), slice(0, 3)
_PNG_CHANNELS = {b"\x08\x02": 3, b"\x08\x06": 4}  # eight bits; colour alone, or with alpha
_PLACES = {3: (_COLOUR,), 4: (_ALPHA, _COLOUR)}
_FILE_LIMIT_BYTES = 2**27  # of a WebP that is decoded
_ALPHA_AND_ANIMATION, _ALPHA_ALONE = 0x12, 0x10
# What Pillow's plugins are known to raise.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)


def reveal(
    data: Data, *, png_pixel_limit: int = PNG_PIXEL_LIMIT, webp_pixel_limit: int = WEBP_PIXEL_LIMIT
) -> Fields | None:
    """Read the hidden texts of a PNG, or of a WebP with an alpha channel; None if there are none or it is too large."""
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
    for channels in _PLACES[len(picture.getbands())]:
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
    import numpy as np

    column_bits = picture.height * len(range(4)[channels])
    first, last = start * 8, (start + count) * 8
    left, right = first // column_bits, min(-(-last // column_bits), picture.width)
    if left >= right:
        return b""
    columns: Pixels = np.asarray(picture.crop((left, 0, right, picture.height)))[:, :, channels]
    bits = columns.transpose(1, 0, 2).ravel() & 1
    wanted = bits[first - left * column_bits : last - left * column_bits]
    return np.packbits(wanted[: len(wanted) // 8 * 8]).tobytes()


def _opened(data: Data, png_pixel_limit: int, webp_pixel_limit: int) -> Image | None:
    """Decode the picture; None if it cannot hide anything, is broken or is too large."""
    if data[: len(png.SIGNATURE)] == png.SIGNATURE:
        open_it, limit = _opened_png, png_pixel_limit
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        open_it, limit = _opened_webp, webp_pixel_limit
    else:
        return None
    try:
        return open_it(data, limit)
    except _BROKEN:
        return None
    except Exception as error:
        from PIL.Image import DecompressionBombError

        if isinstance(error, DecompressionBombError):
            return None
        raise


def _opened_png(data: Data, pixel_limit: int) -> Image | None:
    """Decode a PNG whose first column begins like a magic; any other costs a few rows, and Pillow is not asked."""
    width, height, kind, _, interlaced = struct.unpack_from(">II2sHB", data[:29].ljust(29, b"\0"), 16)
    channels = _PNG_CHANNELS.get(kind, 0)
    if not channels or interlaced or not 0 < width * height <= pixel_limit:
        return None
    if not _begins_like_a_magic(_first_column(data, width, height, channels), channels):
        return None
    return _png_picture(data, height * (1 + channels * width))


def _begins_like_a_magic(column: Iterator[bytes], channels: int) -> bool:
    """Whether the bits down the first column can be those of a magic; it asks for no more pixels than it must."""
    hopes = [(place, format(int.from_bytes(magic, "big"), "0120b")) for place in _PLACES[channels] for magic in _MAGICS]
    rows = 0
    for pixel in column:
        bits = "".join(str(value & 1) for value in pixel)
        hopes = [
            (place, rest[len(bits[place]) :]) for place, rest in hopes if rest.startswith(bits[place][: len(rest)])
        ]
        rows += 1
        if not hopes or not all(rest for _, rest in hopes):
            break
    return bool(hopes) and rows > 0


def _first_column(data: Data, width: int, height: int, channels: int) -> Iterator[bytes]:
    """The first pixel of each row; to undo a row's filter there takes no other pixel than the one above."""
    above = bytes(channels)
    rows = png.ImageData(data)
    for _ in range(height):
        row = rows.take(1 + channels)
        if len(row) < 1 + channels or row[0] > 4:
            return
        share = (0, 0, 2, 1, 2)[row[0]]  # halves of the pixel above: filters none, sub, up, average, Paeth
        above = bytes((value + share * up // 2) & 0xFF for value, up in zip(row[1:], above, strict=True))
        yield above
        rows.skip(channels * (width - 1))


def _png_picture(data: Data, size: int) -> Image:
    """Decode a PNG without its texts, profiles and animation, for which Pillow may warn or raise."""
    from PIL.PngImagePlugin import PngImageFile

    left = size * 9 // 8 + 2**16  # more than any encoder makes of incompressible pixels
    parts: list[bytes] = []
    for kind, start, end in png.chunks(data):
        if kind == b"IDAT" and left > 0:
            parts.append(data[start : min(end, start + left)])
            left -= len(parts[-1])
    pixels = b"".join(parts)
    file = png.SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", data[16:29]), (b"IDAT", pixels), (b"IEND", b""))
    )
    picture = PngImageFile(BytesIO(file))
    picture.load()
    return picture


def _opened_webp(data: Data, pixel_limit: int) -> Image | None:
    from PIL.WebPImagePlugin import WebPImageFile

    # The header is checked first: while opening, Pillow allocates a canvas, warns or raises.
    kind, start, end = next(webp.chunks(data), (b"", 0, 0))
    if (
        len(data) > _FILE_LIMIT_BYTES
        or not 0 < _clear_pixels(kind, data[start : min(end, start + 10)].ljust(10, b"\0")) <= pixel_limit
    ):
        return None
    picture = WebPImageFile(BytesIO(data[:]))
    if picture.mode != "RGBA" or picture.width * picture.height > pixel_limit:  # other chunks may say otherwise
        return None
    picture.load()
    return picture


def _clear_pixels(kind: bytes, head: bytes) -> int:
    """The number of pixels according to the first chunk of a WebP; 0 without transparency, and for an animation."""
    if kind == b"VP8X" and head[0] & _ALPHA_AND_ANIMATION == _ALPHA_ALONE:
        return (int.from_bytes(head[4:7], "little") + 1) * (int.from_bytes(head[7:10], "little") + 1)
    if kind == b"VP8L" and head[4] & 0x10:
        sides = int.from_bytes(head[1:5], "little")
        return ((sides & 0x3FFF) + 1) * ((sides >> 14 & 0x3FFF) + 1)
    return 0
