"""The smallest files that once took too much time or memory; each names what it did then."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

from fuzz.inputs import Target
from layouts import chunk, png, ztext
from PIL import Image


def vast_clear_webp() -> bytes:
    """46 bytes, 100 megapixels, 1.9 GB: looking for a text hidden in the pixels decoded them all."""
    return bytes.fromhex("5249464626000000574542505650384c190000002f0ea7c319075081540820000a1a02495bbced8f8f88e87f0000")


def vast_clear_png() -> bytes:
    """0.4 MB, 100 megapixels, 1.1 GB: the same in a PNG."""
    stream = zlib.compressobj(9, wbits=-15)
    block = stream.compress(bytes(2**20)) + stream.flush(zlib.Z_FULL_FLUSH)
    header = struct.pack(">IIBBBBB", 9_999, 9_999, 8, 6, 0, 0, 0)
    pixels = b"\x78\xda" + block * 382 + b"\3\0\0\0\0\1"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def closing_brackets() -> bytes:
    """8 KB, 1.3 s: each reader counted millions of brackets that close nothing."""
    text = b"{" + b"]" * 3_999_999
    return png(ztext("Comment", text), ztext("prompt", text))


def enormous_tile() -> bytes:
    """142 bytes, one pixel, 1 GB: libtiff reserves and clears a whole tile, whatever the picture's size."""
    tags = {256: 1, 257: 1, 258: 8, 259: 5, 262: 1, 277: 1, 322: 32_768, 323: 32_752, 324: 8, 325: 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(tags)) + entries + bytes(4)


def endless_scans() -> bytes:
    """0.8 MB, one megapixel, 4 s (100 megapixels: minutes): libjpeg walks all blocks for each scan without data."""
    buffer = BytesIO()
    Image.new("L", (1_000, 1_000), 128).save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()[:-2] + b"\xff\xda\0\x08\1\1\0\1\x3f\0" * 80_000 + b"\xff\xd9"


FILES: dict[Target, tuple[Callable[[], bytes], ...]] = {
    "metadata": (vast_clear_webp, vast_clear_png, closing_brackets),
    "decode": (enormous_tile, endless_scans),
}


def numbered(target: Target, _seed: int, index: int) -> bytes:
    """The file of this number, for the runner."""
    return FILES[target][index]()
