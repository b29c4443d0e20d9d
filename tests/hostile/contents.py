"""Files that are made to do harm, each small to make: what they hold, not how they are called."""

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


def vast_headers() -> Iterator[tuple[str, bytes]]:
    """(format, data): a billion pixels and more, promised by small files."""
    for sides in ((31_623, 31_623), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)):
        yield "png", _png_of(sides, 8, 2, zlib.compress(bytes(1000)))
    small = {format: picture(format, 1) for format in FORMATS}
    frame = small["jpg"].index(b"\xff\xc0")
    yield "jpg", _patched(small["jpg"], frame + 5, struct.pack(">HH", 65_500, 65_500))
    yield "gif", _patched(small["gif"], 6, struct.pack("<HH", 65_535, 65_535))
    yield "bmp", _patched(small["bmp"], 18, struct.pack("<ii", 40_000, 40_000))
    yield "webp", bytes.fromhex("524946461a000000574542505650384c0d0000002fffffff0f00") + bytes(8)  # 16,384 squared
    yield "avif", _patched(small["avif"], small["avif"].index(b"ispe") + 8, struct.pack(">II", 65_535, 65_535))
    yield "tiff", _tiff({256: 100_000, 257: 100_000, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 279: 8})


def flat_png(megapixels: float) -> bytes:
    """A few hundred KB, four bytes a pixel once it is decoded; odd sides, so that no reduction makes it cheaper."""
    side = int((megapixels * 1e6) ** 0.5) // 2 * 2 - 1
    stream = zlib.compressobj(9)
    row = bytes(1 + 4 * side)
    return _png_of((side, side), 8, 6, b"".join(stream.compress(row) for _ in range(side)) + stream.flush())


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


def fragments(megabytes: float) -> Iterator[tuple[str, bytes]]:
    """(format, data): millions of pieces and bytes of filling, which Pillow steps over in Python."""
    size = int(megabytes * 1e6)
    whole = {format: picture(format, 2) for format in ("jpg", "png", "gif")}
    yield "jpg", whole["jpg"][:2] + b"\xff" * size + whole["jpg"][2:]
    yield "jpg", whole["jpg"][:2] + b"\xff\xfe\0\2" * (size // 4) + whole["jpg"][2:]
    for kind in (b"IDAT", b"PLTE"):
        yield "png", whole["png"][:33] + chunk(kind, b"") * (size // 12) + whole["png"][33:]
    yield "png", whole["png"][:33] + (chunk(b"IDAT", b"") + chunk(b"juNK", b"")) * (size // 24) + whole["png"][33:]
    yield "gif", b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b"!\xfe\0" * (size // 3)


def run_length_bmp() -> bytes:
    """25 megapixels of run lengths, each of which ends a line."""
    header = struct.pack("<IiiHHIIIIII", 40, 5_000, 5_000, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + header + bytes(1024) + b"\1\0\0\0" * 5_000


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


def told_bombs(megabytes: int) -> Iterator[bytes]:
    """Good pictures whose texts, profile or EXIF unpack to that many megabytes, or are as long as that."""
    zeros, words = bytes(megabytes * 1_000_000), b"{" * (megabytes * 1_000_000)
    yield png(ztext("parameters", zeros), pixels=_noise(1))
    yield png(ztext("parameters", b"a cat " * (megabytes * 170_000)), pixels=_noise(2))
    yield png(itext("prompt", words, compressed=True), itext("workflow", words, compressed=True), pixels=_noise(3))
    yield png(*(ztext("Comment", words) for _ in range(20)), pixels=_noise(4))
    yield png(chunk(b"iCCP", b"bomb\0\0" + zlib.compress(zeros)), pixels=_noise(5))
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
    yield png(text("prompt", "[" * 100_000 + "]" * 100_000), text("workflow", '{"a":' * 100_000 + "1" + "}" * 100_000))
    yield png(text("prompt", json.dumps({"1": {"class_type": "\x1b[2J", "inputs": {"text": ["1", 0]}}})))
    yield png(text("prompt", json.dumps({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": ESCAPES}}})))
    yield png(text("\x1b[2J", b"\x1b[2J"), chunk(b"tEXt", b""), chunk(b"zTXt", b"x\0\0junk"), pixels=_noise(8))
    comment = b"UNICODE\0" + f"a bear {ESCAPES}\nSteps: 1".encode("utf-16-be")
    yield jpeg_exif(directory({0x9286: comment}))
    yield webp_exif(directory({0x9286: comment + b"\xd8\x00"}))


def _noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def _png_of(sides: tuple[int, int], bits: int, colours: int, pixels: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *sides, bits, colours, 0, 0, 0))
    return PNG_SIGNATURE + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _patched(data: bytes, place: int, replacement: bytes) -> bytes:
    return data[:place] + replacement + data[place + len(replacement) :]


def _tiff(tags: dict[int, int]) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(tags)) + entries + bytes(4)
