"""Files that have to be refused or read with care, each small to make: what they hold, not how they are called.

None does harm to what reads it: the guards are shown lower limits instead.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from layouts import PNG_SIGNATURE, chunk, directory, itext, jpeg_exif, png, text, webp_exif, ztext
from PIL import Image

FORMATS = ("png", "jpg", "webp", "gif", "bmp", "tiff", "avif")
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\x00\x7f\x85\u202e\u2066\ufeff\u200b\r\b"
"""What a terminal obeys, what turns the reading direction, what nobody sees."""

_PILLOW_NAMES = {"jpg": "JPEG", "tiff": "TIFF"}


def picture(format: str, seed: int, *, side: int = 96) -> bytes:
    """A good picture of noise; no two seeds give the same."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (side // 8, side // 8 + 1 + seed % 5, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(blocks.repeat(8, 0).repeat(8, 1)).save(buffer, _PILLOW_NAMES.get(format, format.upper()))
    return buffer.getvalue()


def promising(format: str, width: int, height: int) -> bytes:
    """A small picture whose header says another size."""
    data = picture(format, 1)
    if format == "png":
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return _patched(data, 8, chunk(b"IHDR", header))
    if format == "tiff":
        (was_width, was_height) = Image.open(BytesIO(data)).size
        for tag, was, now in ((256, was_width, width), (257, was_height, height)):
            data = data.replace(struct.pack("<HHII", tag, 4, 1, was), struct.pack("<HHII", tag, 4, 1, now))
        return data
    if format == "webp":
        return b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + bytes(9)
    place, form = {
        "jpg": (data.find(b"\xff\xc0") + 5, ">HH"),
        "gif": (6, "<HH"),
        "bmp": (18, "<ii"),
        "avif": (data.find(b"ispe") + 8, ">II"),
    }[format]
    sides = (height, width) if format == "jpg" else (width, height)
    return _patched(data, place, struct.pack(form, *sides))


def flat_png(megapixels: float) -> bytes:
    """A few KB a megapixel, four bytes a pixel once decoded; of odd sides, so that no reduction makes it cheaper."""
    side = int((megapixels * 1e6) ** 0.5) // 2 * 2 - 1
    stream = zlib.compressobj(9)
    row = bytes(1 + 4 * side)
    pixels = b"".join(stream.compress(row) for _ in range(side)) + stream.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
    return PNG_SIGNATURE + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def flat_webp(megapixels: float) -> bytes:
    """Less than a hundred bytes, fifteen a pixel while it is decoded."""
    side = int((megapixels * 1e6) ** 0.5) // 2 * 2 - 1
    buffer = BytesIO()
    Image.new("RGB", (side, side), (9, 80, 200)).save(buffer, "WEBP", lossless=True, method=0, quality=0)
    return buffer.getvalue()


def raw_tiff(megabytes: float) -> bytes:
    """A good picture that is simply large."""
    side = int((megabytes * 1e6 / 3) ** 0.5) // 2 * 2 - 1
    buffer = BytesIO()
    Image.new("RGB", (side, side), (200, 80, 9)).save(buffer, "TIFF")
    return buffer.getvalue()


def long_png(megabytes: float) -> bytes:
    """A good picture with one enormous chunk that says nothing."""
    return png(chunk(b"juNK", bytes(int(megabytes * 1e6))))


def crumbled_png(count: int) -> bytes:
    """A good picture, with that many chunks."""
    return png(chunk(b"teSt", b"") * count, pixels=_noise())


def cut_short(format: str, part: float) -> bytes:
    """The beginning of a good picture."""
    data = picture(format, 3)
    return data[: int(len(data) * part)]


def no_pictures() -> Iterator[bytes]:
    """What is called a picture and is none."""
    yield b""
    yield b"\0"
    yield bytes(100_000)
    yield b"\x89PNG\r\n\x1a"
    yield b"<!DOCTYPE html><title>404</title>" + ESCAPES.encode()
    yield b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield b"\x1b[31m\x1b]0;owned\x07"
    yield b"PK\x03\x04" + bytes(100)
    yield b"\x7fELF" + bytes(100)
    yield random.Random(5).randbytes(5_000)


def told_at_length(megabytes: int) -> Iterator[bytes]:
    """Good pictures whose texts, profile or EXIF unpack to that many megabytes, or are as long as that."""
    zeros, words = bytes(megabytes * 1_000_000), b"{" * (megabytes * 1_000_000)
    yield png(ztext("parameters", zeros), pixels=_noise(1))
    yield png(ztext("parameters", b"a cat " * (megabytes * 170_000)), pixels=_noise(2))
    yield png(itext("prompt", words, compressed=True), itext("workflow", words, compressed=True), pixels=_noise(3))
    yield png(*[ztext("Comment", words)] * 20, pixels=_noise(4))
    yield png(chunk(b"iCCP", b"long\0\0" + zlib.compress(zeros)), pixels=_noise(5))
    yield png(text("parameters", b"moon " * 1_600_000), pixels=_noise(6))
    yield png(chunk(b"eXIf", directory({0x9286: b"UNICODE\0" + bytes(8_000_000)})), pixels=_noise(7))


def told_escapes() -> Iterator[bytes]:
    """Good pictures that say what must not reach a terminal, or what no JSON parser should see."""
    yield png(
        itext("parameters", f"a fox {ESCAPES}\nNegative prompt: {ESCAPES} hands\nSteps: 20, Sampler: {ESCAPES}, x: 1")
    )
    yield png(itext("parameters", "a lone \ud800 and \udfff surrogate\nSteps: 20"))
    yield png(text("parameters", b"no UTF-8: \xff\xfe\x80 \x1b[31m\nSteps: 20"))
    yield png(text("Comment", r'{"prompt": "\ud800 \u001b[2J \u202e \u0000", "steps": NaN, "scale": -Infinity}'))
    yield png(text("Software", "NovelAI"), text("Description", b"\x1b[2J a wolf"), text("Comment", '{"steps": 1e999}'))
    yield png(text("prompt", "[" * 2_000 + "]" * 2_000), text("workflow", '{"a":' * 2_000 + "1" + "}" * 2_000))
    yield png(text("prompt", json.dumps({"1": {"class_type": "\x1b[2J", "inputs": {"text": ["1", 0]}}})))
    yield png(text("prompt", json.dumps({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": ESCAPES}}})))
    yield png(text("\x1b[2J", b"\x1b[2J"), chunk(b"tEXt", b""), chunk(b"zTXt", b"x\0\0junk"), pixels=_noise(8))
    comment = b"UNICODE\0" + f"a bear {ESCAPES}\nSteps: 1".encode("utf-16-be")
    yield jpeg_exif(directory({0x9286: comment}))
    yield webp_exif(directory({0x9286: comment + b"\xd8\x00"}))


def _noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def _patched(data: bytes, place: int, replacement: bytes) -> bytes:
    return data[:place] + replacement + data[place + len(replacement) :]
