"""PNGs by strips: the same as Pillow makes of the whole, in a part of the memory."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from unprompt.images import decode as decoding
from unprompt.images import png
from unprompt.images.decode import Picture, decode
from unprompt.images.files import Bytes
from unprompt.images.metadata.containers.png import SIGNATURE
from unprompt.images.ref import ImageRef
from unprompt.prediction import Failure

WIDTH, HEIGHT = 61, 83
KINDS = {"RGB": (2, 3), "LA": (4, 2), "RGBA": (6, 4)}


@pytest.fixture(autouse=True)
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of a few rows, for a picture of any size."""
    monkeypatch.setattr("unprompt.images.rgb.STRIP_PIXELS", 7 * WIDTH)
    monkeypatch.setattr(png, "STRIP_PIXELS", 7 * WIDTH)
    monkeypatch.setattr(decoding, "_TOGETHER_MB", 0)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def noise_png(mode: str, depth: int, *more: bytes) -> bytes:
    """Noise whose rows have every filter in turn; `more` chunks stand before the pixels."""
    kind, channels = KINDS[mode]
    rng = np.random.default_rng(0)
    rows = b"".join(bytes([row % 5]) + rng.bytes(WIDTH * channels * depth // 8) for row in range(HEIGHT))
    packed = zlib.compress(rows)
    pixels = (chunk(b"IDAT", packed[at : at + 999]) for at in range(0, len(packed), 999))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, 0)
    return b"".join((SIGNATURE, chunk(b"IHDR", header), *more, *pixels, chunk(b"IEND", b"")))


def without_the_last_pixels(data: bytes) -> bytes:
    """The last chunk of pixels is missing, all that is there is whole."""
    last = data.rindex(b"IDAT") - 4
    return data[:last] + chunk(b"IEND", b"")


def decoded(data: bytes, **options: Any) -> Picture:
    found = decode(ImageRef("it", Bytes(data)), **options)
    assert isinstance(found, Picture), found
    return found


def whole(data: bytes, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Picture:
    """The picture as Pillow decodes it at once."""
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "_TOGETHER_MB", 1000)
        return decoded(data, **options)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("mode", KINDS)
@pytest.mark.parametrize("shorter_side", [None, 30, 10])
def test_strips_are_the_picture(mode: str, depth: int, shorter_side: int | None, monkeypatch: Any) -> None:
    data = noise_png(mode, depth)
    assert png.has_strips(data)
    expected = whole(data, monkeypatch, shorter_side=shorter_side)
    found = decoded(data, shorter_side=shorter_side)
    assert found.size == expected.size == (WIDTH, HEIGHT)
    assert np.array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = noise_png("RGB", depth, chunk(b"tRNS", struct.pack(">3H", 7, 8, 9)))
    assert np.array_equal(decoded(data).pixels, whole(data, monkeypatch).pixels)
    flat = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (7, 8, 9)).save(flat, "PNG", transparency=(7, 8, 9))
    assert (decoded(flat.getvalue()).pixels == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_strips_come_upright(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = noise_png("RGB", 8, chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    found, expected = decoded(data, shorter_side=30), whole(data, monkeypatch, shorter_side=30)
    assert found.size == expected.size == ((HEIGHT, WIDTH) if orientation > 4 else (WIDTH, HEIGHT))
    assert np.array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) * 2 // 3],
        without_the_last_pixels,
        lambda data: data[: len(data) // 2] + bytes(50) + data[len(data) // 2 + 50 :],
    ],
    ids=["cut off", "without the last rows", "overwritten"],
)
def test_damaged_pixels_are_no_picture(damage: Any) -> None:
    found = decode(ImageRef("it", Bytes(damage(noise_png("RGB", 8)))))
    assert isinstance(found, Failure)
    assert found.kind == "truncated"


@pytest.mark.parametrize("mode", ["L", "P", "1", "I;16"])
def test_other_modes_are_decoded_at_once(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (8, 8)).save(file, "PNG")
    assert not png.has_strips(file.getvalue())


def test_interlaced_ones_are_decoded_at_once() -> None:
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 1)
    assert not png.has_strips(SIGNATURE + chunk(b"IHDR", header))


def test_the_memory_limit_holds_for_strips() -> None:
    data = noise_png("RGBA", 8)
    needed = png.Strips(data).memory_mb
    assert decoded(data, memory_limit_mb=needed).size == (WIDTH, HEIGHT)
    refused = decode(ImageRef("it", Bytes(data)), memory_limit_mb=needed * 0.9)
    assert isinstance(refused, Failure)
    assert refused.kind == "too-large"
