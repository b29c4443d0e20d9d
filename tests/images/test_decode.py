"""Real files, made here, through the one door: `decode`."""

import functools
import hashlib
import io
import os
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile.contents import FORMATS, promising
from PIL import ExifTags, Image, PngImagePlugin

from unprompt.images import files
from unprompt.images.archives import members
from unprompt.images.costs import TimeLimits
from unprompt.images.decode import Picture, decode
from unprompt.images.files import Bytes, LocalFile
from unprompt.images.ref import ImageRef
from unprompt.images.room import Room
from unprompt.prediction import Failure, WrittenPrompt

Array = np.ndarray[Any, Any]

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
LOSSLESS: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True}, "GIF": {}, "BMP": {}, "TIFF": {}}
LOSSY: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "AVIF": {"quality": 95}}
OPTIONS = LOSSLESS | LOSSY
ORIENTATION = 0x0112
INFOTEXT = "a castle at dawn\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def ref_of(content: bytes | Image.Image | Array | str) -> ImageRef:
    if isinstance(content, bytes):
        return ImageRef("it", Bytes(content))
    return ImageRef("it", LocalFile(content) if isinstance(content, str) else content)


def picture(content: bytes | Image.Image | Array | str, **options: Any) -> Picture:
    result = decode(ref_of(content), **options)
    assert isinstance(result, Picture), result
    return result


def failure(content: bytes | Image.Image | Array | str, **options: Any) -> Failure:
    result = decode(ref_of(content), **options)
    assert isinstance(result, Failure), result
    assert result.source == "it"
    assert result.message.isprintable()
    return result


def scene(width: int, height: int) -> Image.Image:
    """Smooth colours that differ at every corner: kind to JPEG, and lopsided."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return Image.fromarray(np.rint(np.stack([255 * x, 255 * y, 128 * (1 - x) * y + 60], axis=-1)).astype(np.uint8))


@functools.cache
def detailed(width: int, height: int) -> Image.Image:
    """Detail at every scale, as in a photograph: noise whose power falls with the frequency."""
    generator = np.random.default_rng(0)
    layers = []
    for octave in range(7):
        rough = generator.integers(0, 256, (height >> octave, width >> octave, 3), dtype=np.uint8)
        layer = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
        layers.append(np.asarray(layer, dtype=np.float32) * 1.5**octave)
    return Image.fromarray((sum(layers) / sum(1.5**octave for octave in range(7))).astype(np.uint8))  # type: ignore[union-attr]


def png(bits: int, colour_type: int, rows: list[bytes], *chunks: tuple[bytes, bytes], width: int = 2) -> bytes:
    """A PNG of the kinds that Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def flat(pixels: Array) -> list[tuple[int, ...]]:
    return [tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()]


# Formats


@pytest.mark.parametrize("format", LOSSLESS)
def test_lossless_formats_keep_every_pixel(format: str) -> None:
    image = scene(21, 13)
    if format == "GIF":
        image = image.quantize(64).convert("RGB")
    found = picture(encoded(image, format, **OPTIONS[format]))
    np.testing.assert_array_equal(found.pixels, np.asarray(image))
    assert (found.format, found.size, found.source) == (format, (21, 13), "it")
    assert found.pixels.dtype == np.uint8


@pytest.mark.parametrize("format", LOSSY)
def test_lossy_formats_come_close(format: str) -> None:
    image = scene(64, 40)
    found = picture(encoded(image, format, **OPTIONS[format]))
    assert np.abs(found.pixels.astype(int) - np.asarray(image)).mean() < 2
    assert (found.format, found.size) == (format, (64, 40))


@pytest.mark.parametrize("format", OPTIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (300, 2)])
def test_extreme_shapes(format: str, size: tuple[int, int]) -> None:
    found = picture(encoded(Image.new("RGB", size, RED), format, **OPTIONS[format]), shorter_side=8)
    assert (found.size, found.pixels.shape) == (size, (size[1], size[0], 3))
    assert np.abs(found.pixels.astype(int) - RED).max() <= 6


@pytest.mark.parametrize("format", ["PPM", "ICO", "TGA", "JPEG2000", "PDF"])
def test_other_formats_are_no_pictures(format: str) -> None:
    found = failure(encoded(Image.new("RGB", (16, 16)), format))
    assert found.kind == "not-a-picture"
    assert "expected PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, HEIC or JPEG XL, found " in found.message


@pytest.mark.parametrize(("options"), [{"progressive": True}, {"optimize": True}, {"subsampling": 2}, {"quality": 30}])
def test_kinds_of_jpeg(options: dict[str, Any]) -> None:
    image = scene(64, 40)
    found = picture(encoded(image, "JPEG", **options))
    assert np.abs(found.pixels.astype(int) - np.asarray(image)).mean() < 6


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_kinds_of_tiff(compression: str) -> None:
    image = scene(64, 40)
    found = picture(encoded(image, "TIFF", compression=compression))
    assert np.abs(found.pixels.astype(int) - np.asarray(image)).mean() < (6 if compression == "jpeg" else 1e-9)


# Modes


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF"])
def test_one_bit(format: str) -> None:
    image = Image.new("1", (3, 1))
    image.putpixel((1, 0), 1)
    assert flat(picture(encoded(image, format)).pixels) == [(0, 0, 0), WHITE, (0, 0, 0)]


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF"])
def test_greyscale(format: str) -> None:
    values = np.array([[0, 1, 100, 255]], dtype=np.uint8)
    assert flat(picture(encoded(Image.fromarray(values), format)).pixels) == [(v, v, v) for v in (0, 1, 100, 255)]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_greyscale_is_scaled_not_clipped(format: str) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65534, 65535]], dtype=np.uint16)
    found = picture(encoded(Image.fromarray(values), format)).pixels[0, :, 0]
    assert found.tolist() == [0, 0, 1, 1, 128, 255, 255]


def test_sixteen_bit_big_endian_tiff() -> None:
    image = Image.frombytes("I;16B", (2, 1), b"\x80\x80\xff\xff")
    assert flat(picture(encoded(image, "TIFF")).pixels) == [(128, 128, 128), WHITE]


def test_twelve_bit_tiff() -> None:
    # Pillow writes none: a directory of (tag, type SHORT, count, value), and two pixels in three bytes after it.
    tags = {256: 2, 257: 1, 258: 12, 259: 1, 262: 1, 273: 8 + 2 + 12 * 9 + 4, 277: 1, 278: 1, 279: 3}
    directory = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4) + b"\x80\x8f\xff"  # 0x808, 0xfff
    assert flat(picture(data).pixels) == [(128, 128, 128), WHITE]


def test_sixteen_bit_colour_png() -> None:
    found = picture(png(16, 2, [struct.pack(">6H", 65535, 32896, 0, 257, 514, 771)]))
    assert flat(found.pixels) == [(255, 128, 0), (1, 2, 3)]


def test_sixteen_bit_grey_with_alpha_png() -> None:
    assert flat(picture(png(16, 4, [struct.pack(">4H", 25700, 65535, 0, 0)])).pixels) == [(100, 100, 100), WHITE]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 100, 255], [0, 100, 255]),
        ([0, 257, 65535], [0, 1, 255]),
        ([-5, 2**30, 2**31 - 1], [0, 128, 255]),
        ([0, 0, 0], [0, 0, 0]),
    ],
)
def test_thirty_two_bit_tiff(values: list[int], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], dtype=np.int32))
    assert picture(encoded(image, "TIFF")).pixels[0, :, 1].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 2.0, 255.0], [0, 2, 255]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([0.0, 1e6, 1e7], [0, 26, 255]),
        ([-1.0, np.nan, 1.0], [0, 0, 255]),
        ([-1.0, -2.0, -3.0], [0, 0, 0]),
        ([-np.inf, 0.5, np.inf], [0, 128, 255]),
    ],
)
def test_float_tiff(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert picture(encoded(image, "TIFF")).pixels[0, :, 2].tolist() == expected


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF"])
def test_palette(format: str) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([2, 0, 1])
    assert flat(picture(encoded(image, format)).pixels) == [BLUE, RED, GREEN]


@pytest.mark.parametrize(("format", "options"), [("JPEG", {"quality": 98}), ("TIFF", {})])
def test_cmyk_is_not_inverted(format: str, options: dict[str, Any]) -> None:
    image = scene(64, 40).convert("CMYK")
    found = picture(encoded(image, format, **options))
    assert np.abs(found.pixels.astype(int) - np.asarray(scene(64, 40))).mean() < 4


def test_ycbcr_tiff() -> None:
    # Without compression, Pillow before 13 writes YCbCr in a form that it cannot read.
    found = picture(encoded(scene(64, 40).convert("YCbCr"), "TIFF", compression="jpeg", quality=95))
    assert np.abs(found.pixels.astype(int) - np.asarray(scene(64, 40))).mean() < 3


def test_lab_tiff() -> None:
    image = Image.new("LAB", (2, 1))
    image.putpixel((0, 0), (136, 128 + 80, 128 + 67))  # red: L 53 %, a 80, b 67
    image.putpixel((1, 0), (255, 128, 128))
    found = picture(encoded(image, "TIFF")).pixels.astype(int)
    assert np.abs(found[0] - [RED, WHITE]).max() <= 12


# Transparency


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_alpha_lies_on_white(format: str) -> None:
    values = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [10, 20, 30, 128], [255, 0, 0, 51]]], dtype=np.uint8)
    found = picture(encoded(Image.fromarray(values), format, **({"lossless": True} if format == "WEBP" else {})))
    assert flat(found.pixels) == [(10, 20, 30), WHITE, (132, 137, 142), (255, 204, 204)]


def test_avif_with_alpha() -> None:
    image = Image.new("RGBA", (32, 16), (*RED, 255))
    image.paste((0, 0, 0, 0), (16, 0, 32, 16))
    found = picture(encoded(image, "AVIF", quality=95)).pixels.astype(int)
    assert np.abs(found[:, :12] - RED).max() <= 6
    assert np.abs(found[:, 20:] - WHITE).max() <= 6


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_with_alpha(format: str) -> None:
    values = np.array([[[100, 255], [100, 0], [0, 51]]], dtype=np.uint8)
    found = picture(encoded(Image.frombytes("LA", (3, 1), values.tobytes()), format))
    assert flat(found.pixels) == [(100, 100, 100), WHITE, (204, 204, 204)]


def test_palette_with_alpha_channel() -> None:
    image = Image.new("RGB", (2, 1), RED).quantize(2).convert("PA")
    image.putalpha(Image.frombytes("L", (2, 1), b"\xff\0"))
    assert flat(picture(encoded(image, "TIFF")).pixels) == [RED, WHITE]


@pytest.mark.parametrize(("transparency", "expected"), [(0, [WHITE, GREEN]), (b"\x33\xff", [(255, 204, 204), GREEN])])
def test_palette_transparency(transparency: int | bytes, expected: list[tuple[int, ...]]) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    assert flat(picture(encoded(image, transparency=transparency)).pixels) == expected


def test_transparent_colour_of_png() -> None:
    grey = png(8, 0, [b"\x40\x41"], (b"tRNS", b"\0\x40"))
    one_bit = png(1, 0, [b"\x40"], (b"tRNS", b"\0\0"))
    sixteen = png(16, 0, [b"\x40\x00\x40\x40"], (b"tRNS", b"\x40\x00"))
    colour = png(8, 2, [b"\1\2\3\4\5\6"], (b"tRNS", b"\0\1\0\2\0\3"))
    assert flat(picture(grey).pixels) == [WHITE, (0x41, 0x41, 0x41)]
    assert flat(picture(one_bit).pixels) == [WHITE, WHITE]
    assert flat(picture(sixteen).pixels) == [WHITE, (0x40, 0x40, 0x40)]
    assert flat(picture(colour).pixels) == [WHITE, (4, 5, 6)]


@pytest.mark.parametrize(
    "image",
    [
        Image.new("La", (1, 1), (50, 51)),
        Image.new("RGBa", (1, 1), (50, 50, 50, 51)),
        Image.new("RGBA", (1, 1), (250, 250, 250, 51)),
    ],
    ids=lambda image: image.mode,
)
def test_premultiplied_alpha(image: Image.Image) -> None:
    assert flat(picture(image).pixels) == [(254, 254, 254)]


# Orientation


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_upright(format: str, orientation: int) -> None:
    upright = scene(48, 32)
    lying = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = upright if lying is None else upright.transpose(lying)
    found = picture(encoded(stored, format, exif=exif, **OPTIONS[format]))
    assert found.size == (48, 32)
    assert np.abs(found.pixels.astype(int) - np.asarray(upright)).mean() < 2


def test_orientation_of_a_drafted_picture() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    found = picture(encoded(scene(640, 320), "JPEG", exif=exif), shorter_side=80)
    assert (found.size, found.pixels.shape) == ((320, 640), (160, 80, 3))


def test_orientation_of_a_picture_opened_by_the_caller() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    with Image.open(io.BytesIO(encoded(scene(40, 20), exif=exif))) as image:
        found = picture(image)
    assert (found.size, found.format) == ((20, 40), "PNG")


@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12", b"Exif\0\0rubbish", b"Exif\0\0"])
@pytest.mark.filterwarnings("ignore:.*EXIF.*:UserWarning", "ignore:Truncated File Read:UserWarning")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_does_not_cost_the_picture(format: str, exif: bytes) -> None:
    assert picture(encoded(scene(16, 8), format, exif=exif)).size == (16, 8)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_senseless_orientation_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    assert picture(encoded(scene(16, 8), exif=exif)).size == (16, 8)


# Animations


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_animation_gives_its_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert np.abs(picture(data).pixels.astype(int) - RED).max() <= 6


def partial_gif(transparent: bool) -> bytes:
    """A canvas of 3 x 2 whose first frame covers one pixel; colour 0 is red, 1 is blue."""
    control = b"!\xf9\x04\x01\0\0\0\0" if transparent else b""
    frame = b",\1\0\1\0\1\0\1\0\0" + b"\2\2\x4c\1\0"  # at (1, 1), 1 x 1, pixel 1
    return b"GIF89a\3\0\2\0\x80\0\0" + bytes([*RED, *BLUE]) + control + frame + b";"


@pytest.mark.parametrize("transparent", [False, True])
def test_gif_frame_that_covers_a_part_lies_on_white(transparent: bool) -> None:
    found = picture(partial_gif(transparent))
    assert flat(found.pixels) == [WHITE, WHITE, WHITE, WHITE, BLUE, WHITE]


# Reduction


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "factor"), [((1024, 1024), 4), ((512, 1544), 2), ((1600, 2048), 4), ((3072, 2048), 8)]
)
def test_reduced_decoding_is_close_to_full_decoding(format: str, size: tuple[int, int], factor: int) -> None:
    data = encoded(detailed(*size), format, **({"quality": 92} if format == "JPEG" else {"compress_level": 1}))
    full, reduced = picture(data), picture(data, shorter_side=256)
    assert full.pixels.shape == (size[1], size[0], 3)
    assert reduced.pixels.shape == (size[1] // factor, size[0] // factor, 3)
    assert full.size == reduced.size == size
    assert min(reduced.pixels.shape[:2]) >= 256

    last = (128 * size[0] // min(size), 128 * size[1] // min(size))
    small = [
        np.asarray(Image.fromarray(found.pixels).resize(last, Image.Resampling.BICUBIC), dtype=np.float64)
        for found in (full, reduced)
    ]
    assert np.abs(small[0] - small[1]).mean() < 0.75
    assert np.abs(small[0] - small[1]).max() < 12


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(801, 800), (803, 1606), (1001, 997)])
def test_a_side_that_the_factor_does_not_divide_is_not_stretched(format: str, size: tuple[int, int]) -> None:
    image = detailed(*size)
    data = encoded(image, format, **({"quality": 92} if format == "JPEG" else {}))
    found = picture(data, shorter_side=200)
    assert found.pixels.shape == (round(size[1] / 4), round(size[0] / 4), 3)
    expected = image.resize(found.pixels.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(found.pixels.astype(int) - np.asarray(expected)).mean() < (3 if format == "JPEG" else 0.6)


def test_strips_join_without_a_seam() -> None:
    image = detailed(1601, 3203)  # several strips of a million pixels, none of which ends where a block does
    found = picture(encoded(image, "PNG", compress_level=1), shorter_side=300)
    expected = image.resize(found.pixels.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(found.pixels.astype(int) - np.asarray(expected)).max() <= 1


def test_what_is_known_is_not_decoded() -> None:
    data = encoded(scene(40, 30))
    assert decode(ref_of(data[:100]), known=lambda sha256: (sha256, "known")) == (
        hashlib.sha256(data[:100]).hexdigest(),
        "known",
    )
    assert isinstance(decode(ref_of(data), known=lambda sha256: None), Picture)


# What costs more than it weighs is refused before it is decoded. Each file here is harmless: the limit is low.


def jpeg_of_scans() -> bytes:
    """Pillow's progressive colours come in ten scans."""
    return encoded(scene(48, 32), "JPEG", progressive=True)


def jpeg_with_filling() -> bytes:
    data = encoded(scene(48, 32), "JPEG")
    return data[:2] + b"\xff" * 300 + data[2:]


def bmp_of_run_lengths() -> bytes:
    """40 x 30, a run of one colour a line."""
    rows = b"".join(bytes([40, 8 * row, 0, 0]) for row in range(30)) + b"\0\1"
    palette = b"".join(bytes([value, value, value, 0]) for value in range(256))
    info = struct.pack("<IiiHHIIiiII", 40, 40, 30, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + 1024 + len(rows), 0, 0, 54 + 1024) + info + palette + rows


def png_in_pieces(between: bytes = b"") -> bytes:
    """Its pixels are cut into one-byte chunks, with `between` (a chunk's type) between them."""
    whole = png(8, 2, [bytes([*RED, *BLUE])])
    head, body = whole[:33], zlib.compress(b"\0" + bytes([*RED, *BLUE]))
    chunks = [(b"IDAT", body[at : at + 1]) for at in range(len(body))]
    if between:
        chunks = [piece for chunk in chunks for piece in (chunk, (between, b""))]
    return head + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in [*chunks, (b"IEND", b"")]
    )


def jpeg_in_pieces() -> bytes:
    data = encoded(scene(48, 32), "JPEG")
    return data[:2] + b"\xff\xfe\0\2" * 60 + data[2:]


def gif_in_pieces() -> bytes:
    data = encoded(Image.new("P", (4, 4)), "GIF")
    start = 13 + (3 << (data[10] & 7) + 1)  # behind the screen and its colours
    return data[:start] + b"!\xfe\1x\0" * 60 + data[start:]


def tiff_of_one_tile() -> bytes:
    """One pixel out of a tile of 256 x 256, which libtiff unpacks as a whole: 65,536 bytes in a hundred."""
    tile = zlib.compress(bytes(65_536))
    tags = {256: 1, 257: 1, 258: 8, 259: 8, 262: 1, 277: 1, 322: 256, 323: 256, 324: 8, 325: len(tile)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(tile)) + tile + directory


@pytest.mark.parametrize(
    ("data", "limits", "found"),
    [
        (jpeg_of_scans(), TimeLimits(jpeg_scans=9), "expected a JPEG of at most 9 scans, found one with more than 9"),
        (jpeg_with_filling(), TimeLimits(jpeg_fill_bytes=299), "found one with 300 bytes of filling"),
        (bmp_of_run_lengths(), TimeLimits(bmp_runs_mp=0.001), "at most 0.001 megapixels, found 40 x 30; save it as"),
        (png_in_pieces(b"teSt"), TimeLimits(png_runs=5), "found more than 5 of them"),
        (jpeg_in_pieces(), TimeLimits(reads=50), "found more than 50 of them"),
        (gif_in_pieces(), TimeLimits(reads=50), "found more than 50 of them"),
    ],
    ids=["scans", "filling", "run lengths", "runs", "segments", "blocks"],
)
def test_what_would_take_long_is_refused_undecoded(
    data: bytes, limits: TimeLimits, found: str, loaded: list[str]
) -> None:
    refused = failure(data, time_limits=limits)
    assert refused.kind == "too-large"
    assert found in refused.message
    assert loaded == []
    name = picture(data).format  # under the limits as they are, it is a picture like any other
    assert set(loaded) == {name}


def test_pieces_are_counted_while_they_are_decoded() -> None:
    data = png_in_pieces()
    assert "found more than 20 of them" in failure(data, time_limits=TimeLimits(reads=20)).message
    assert flat(picture(data).pixels) == [RED, BLUE]


def test_a_run_length_bmp_within_the_limit() -> None:
    assert picture(bmp_of_run_lengths()).pixels[:, 7, 0].tolist() == [8 * row for row in reversed(range(30))]


def test_as_many_scans_and_as_much_filling_as_the_limit_are_fine() -> None:
    assert picture(jpeg_of_scans(), time_limits=TimeLimits(jpeg_scans=10)).size == (48, 32)
    assert picture(jpeg_with_filling(), time_limits=TimeLimits(jpeg_fill_bytes=300)).size == (48, 32)


def test_a_tile_counts_whole(loaded: list[str]) -> None:
    data = tiff_of_one_tile()
    assert failure(data, memory_limit_mb=0.06).kind == "too-large"
    assert loaded == []
    assert picture(data, memory_limit_mb=0.07).size == (1, 1)


def test_filling_that_no_marker_ends_is_passed_once() -> None:
    data = jpeg_of_scans()
    # Hours, where each byte begins a new search.
    assert picture(data[:-2] + b"\xff" * 300_000 + data[-2:]).size == (48, 32)


def test_what_follows_a_jpeg_is_not_looked_at() -> None:
    film = np.random.default_rng(0).bytes(1_000_000)  # a moving photo; 15 pairs of bytes in it look like a scan
    data = encoded(scene(40, 30), "JPEG") + film
    assert picture(data, time_limits=TimeLimits(jpeg_scans=1)).size == (40, 30)


@pytest.mark.parametrize(
    ("mode", "format", "options", "needed"),
    [
        ("RGB", "PNG", {}, 4.6),
        ("RGB", "JPEG", {}, 4.6),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}, 10.6),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 2}, 7.6),
        ("L", "JPEG", {"progressive": True}, 6.6),
        ("RGB", "WEBP", {}, 12.4),
        ("RGBA", "WEBP", {}, 14.1),
        ("RGB", "AVIF", {}, 11.5),
        ("RGB", "TIFF", {"compression": "tiff_lzw", "tiffinfo": {278: 1000}}, 7.6),
    ],
)
def test_memory_limit_holds_by_what_the_format_takes(
    mode: str, format: str, options: dict[str, Any], needed: float, loaded: list[str]
) -> None:
    image = scene(1000, 1000).convert(mode)
    if mode == "RGBA":
        image.putalpha(100)  # an opaque WebP would be one without alpha
    data = encoded(image, format, **options)
    found = failure(data, memory_limit_mb=needed - 0.1, read_metadata=False)
    assert found.kind == "too-large"
    assert "raise the memory limit" in found.message
    assert loaded == []
    assert picture(data, memory_limit_mb=needed + 0.1).size == (1000, 1000)


def test_a_drafted_jpeg_takes_less_memory() -> None:
    data = encoded(scene(1024, 1024), "JPEG")
    assert failure(data, memory_limit_mb=1).kind == "too-large"
    assert picture(data, memory_limit_mb=1, shorter_side=256).size == (1024, 1024)


def test_large_pictures_are_decoded_one_at_a_time() -> None:
    room = Room(10)
    held, most, lock = 0.0, 0.0, threading.Lock()

    def work(needed_mb: float) -> None:
        nonlocal held, most
        with room.taken(needed_mb):
            with lock:
                held += min(needed_mb, 10)
                most = max(most, held)
            time.sleep(0.002)
            with lock:
                held -= min(needed_mb, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [1, 4, 7, 100, 3, 10, 2] * 8))
    assert 0 < most <= 10


def test_all_the_room_is_there_again_after_any_fractions() -> None:
    room = Room(64)
    rng = np.random.default_rng(0)
    with ThreadPoolExecutor(8) as pool:
        for sizes in rng.uniform(0.3, 3, (50, 16)):
            list(pool.map(lambda size: _through(room, size), sizes))
        assert pool.submit(_through, room, 64.0).result(timeout=10)


def _through(room: Room, size_mb: float) -> bool:
    with room.taken(float(size_mb)):
        return True


def test_a_hash_tells_shapes_apart() -> None:
    array = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    assert picture(array).sha256 != picture(array.reshape(128, 64, 3)).sha256


def test_a_picture_that_pillow_opened_is_held_to_the_memory_limit() -> None:
    data = encoded(scene(1000, 1000))
    with Image.open(io.BytesIO(data)) as image:
        assert failure(image, memory_limit_mb=4).kind == "too-large"


def test_arrays_and_pictures_in_memory_are_reduced_as_well() -> None:
    image = scene(320, 160)
    for content in (image, np.asarray(image)):
        found = picture(content, shorter_side=40)
        assert (found.size, found.pixels.shape) == ((320, 160), (40, 80, 3))


# Hashes, prompts, memory


def test_hash_is_of_the_file() -> None:
    data = encoded(scene(5, 4))
    assert picture(data).sha256 == picture(data, shorter_side=1).sha256 == hashlib.sha256(data).hexdigest()


def test_hash_without_a_file_is_of_the_full_pixels() -> None:
    image = scene(64, 32)
    expected = hashlib.sha256(b"64 32 " + image.tobytes()).hexdigest()
    assert {picture(content, shorter_side=2).sha256 for content in (image, np.asarray(image))} == {expected}


def test_pixels_in_memory() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    found = picture(array[:, ::-1])  # not contiguous
    np.testing.assert_array_equal(found.pixels, array[:, ::-1])
    assert (found.size, found.format, found.written) == ((4, 2), None, None)
    assert not np.shares_memory(found.pixels, array)


@pytest.mark.parametrize("size", [(0, 0), (0, 3), (3, 0)])
def test_a_picture_without_pixels_says_so(size: tuple[int, int]) -> None:
    for content in (Image.new("RGB", size), np.zeros((*size[::-1], 3), np.uint8)):
        found = failure(content)
        assert found.kind == "not-a-picture"
        assert found.message.endswith(f"found one of {size[0]} x {size[1]}")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_was_closed_says_so(format: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(scene(8, 8), format))
    with Image.open(path) as left:
        pass
    closed = Image.open(path)
    closed.close()
    with path.open("rb") as file:
        lost = Image.open(file)
    made = Image.new("RGB", (8, 8))
    made.close()
    for image in (closed, made, *([left, lost] if format != "WEBP" else [])):  # Pillow reads a WebP when it opens it
        found = failure(image)
        assert found.kind == "unreadable"
        assert "was closed before it was read" in found.message
    with Image.open(path) as loaded:
        loaded.load()
    assert picture(loaded).size == (8, 8)


def prompt_in(format: str, size: tuple[int, int] = (8, 8)) -> bytes:
    """A picture of one colour with a prompt in its metadata."""
    if format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", INFOTEXT)
        return encoded(Image.new("RGB", size), pnginfo=info)
    if format == "GIF":
        return encoded(Image.new("P", size), "GIF", comment=INFOTEXT.encode())
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = INFOTEXT
    return encoded(Image.new("RGB", size), format, exif=exif)


def test_written_prompt_is_read_on_request() -> None:
    data = prompt_in("PNG")
    written = picture(data).written
    assert isinstance(written, WrittenPrompt)
    assert written.prompt == "a castle at dawn"
    assert picture(data, read_metadata=False).written is None
    assert picture(encoded(scene(8, 8))).written is None


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF", "HEIC"])
def test_a_picture_whose_prompt_is_written_is_not_decoded(format: str, loaded: list[str]) -> None:
    if format == "HEIC":
        pytest.importorskip("pillow_heif").register_heif_opener()
    data = prompt_in("HEIF" if format == "HEIC" else format, (40, 30))
    found = picture(data, pixel_limit_mp=0.001, memory_limit_mb=0.001, time_limits=TimeLimits(reads=1))
    assert (found.format, found.pixels.shape, found.size) == (format, (0, 0, 3), (0, 0))
    assert found.written is not None
    assert found.written.prompt == "a castle at dawn"
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert loaded == []
    assert failure(data, pixel_limit_mp=0.001, read_metadata=False).kind == "too-large"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_prompt_in_front_of_pixels_that_are_cut_off(format: str) -> None:
    data = prompt_in(format, (300, 200))
    if format == "WEBP":  # its EXIF comes last: here the pixels are wrong instead
        middle = len(data) // 3
        data = data[:middle] + bytes(20) + data[middle + 20 :]
    else:
        data = data[: int(len(data) * 0.9)]
    found = picture(data)
    assert found.written is not None
    assert found.written.prompt == "a castle at dawn"
    assert failure(data, read_metadata=False).kind == "truncated"


def test_a_prompt_in_a_file_that_is_too_large_to_be_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prompt_in("PNG", (300, 200))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(path, "a.png")
    whole = picture(data)
    monkeypatch.setattr(files.check_size, "__defaults__", (0,))
    (member,) = members(str(tmp_path / "a.tar"))
    for ref in (ref_of(data), ref_of(str(path)), member):
        found = decode(ref)
        assert isinstance(found, Picture)
        assert found.written == whole.written
        assert found.sha256 == whole.sha256
        assert decode(ref, known=lambda sha256: sha256) == whole.sha256
        refused = decode(ref, read_metadata=False)
        assert isinstance(refused, Failure)
        assert refused.kind == "too-large"
    path.write_bytes(encoded(scene(8, 8)))
    assert failure(str(path)).kind == "too-large"


def test_long_or_damaged_text_does_not_cost_the_picture() -> None:
    rows = [bytes([*RED, *BLUE])]
    long = png(8, 2, rows, (b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3_000_000))))
    profile = png(8, 2, rows, (b"iCCP", b"profile\0\0" + zlib.compress(bytes(3_000_000))))
    damaged = bytearray(png(8, 2, rows, (b"tEXt", b"parameters\0a cat")))
    damaged[damaged.index(b"a cat")] ^= 1  # the checksum is wrong now
    for data in (long, profile, bytes(damaged)):
        assert flat(picture(data, read_metadata=False).pixels) == [RED, BLUE]


# What cannot be read


@pytest.mark.parametrize("data", [b"", b"a cat on a mat\n", b"\0" * 100, b"%PDF-1.7\n", b"RIFF\0\0\0\0WAVEfmt "])
def test_foreign_data_is_no_picture(data: bytes) -> None:
    assert failure(data).kind == "not-a-picture"


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "really.txt").write_bytes(encoded(scene(4, 4), "JPEG"))
    (tmp_path / "text.png").write_text("a cat")
    assert picture(str(tmp_path / "really.txt")).format == "JPEG"
    found = failure(str(tmp_path / "text.png"))
    assert found.kind == "not-a-picture"
    assert "b'a cat'" in found.message


@pytest.mark.parametrize("format", OPTIONS)
def test_truncated_anywhere(format: str) -> None:
    data = encoded(detailed(128, 128), format, **OPTIONS[format])
    # The last bytes of some formats hold no pixels; the first ones are too few to know the format by.
    for length in [*range(16, 80), *range(80, int(len(data) * 0.9), len(data) // 20)]:
        assert failure(data[:length]).kind == "truncated", length
    assert failure(data[:1]).kind == "not-a-picture"


def test_caller_s_picture_may_be_broken() -> None:
    with Image.open(io.BytesIO(encoded(detailed(128, 128), "JPEG")[:-500])) as image:
        assert failure(image).kind == "truncated"


@pytest.mark.parametrize(("path", "kind"), [("gone.png", "not-found"), (".", "unreadable"), ("pipe", "unreadable")])
def test_what_is_no_file(tmp_path: Path, path: str, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert failure(str(tmp_path / path)).kind == kind


@pytest.mark.parametrize("format", FORMATS)
def test_a_header_that_promises_too_much_is_refused_undecoded(format: str, loaded: list[str]) -> None:
    found = failure(promising(format, 600, 700), pixel_limit_mp=0.3)
    assert found.kind == "too-large"
    assert "at most 0.3 megapixels, found 0.4 (600 x 700)" in found.message
    assert loaded == []


@pytest.mark.parametrize("format", OPTIONS)
def test_pixel_limit_holds_to_the_pixel(format: str, loaded: list[str]) -> None:
    data = encoded(scene(100, 80), format, **OPTIONS[format])
    assert failure(data, pixel_limit_mp=0.007999).kind == "too-large"
    assert loaded == []
    assert picture(data, pixel_limit_mp=0.008).size == (100, 80)
    assert loaded


def test_pixel_limit_holds_in_memory() -> None:
    image = scene(100, 80)
    endless = np.broadcast_to(np.uint8(0), (10**6, 10**6, 3))  # refused before it is copied: it would take 3 TB
    for content in (image, np.asarray(image), endless):
        assert failure(content, pixel_limit_mp=0.007).kind == "too-large"


@pytest.mark.parametrize("format", OPTIONS)
def test_the_limit_is_ours_and_not_pillow_s(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(scene(100, 80), format, **OPTIONS[format])
    # Between this and its double Pillow warns, which is an error in these tests. WebP is refused from the double on.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4001)
    assert picture(data).size == (100, 80)
    if format != "WEBP":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        assert picture(data).size == (100, 80)


def test_threads_give_the_same() -> None:
    files = [encoded(scene(64, 48), format, **OPTIONS[format]) for format in OPTIONS] * 8
    alone = [picture(data, shorter_side=2).pixels for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: picture(data, shorter_side=2).pixels, files))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_import_is_cheap() -> None:
    code = (
        "import sys, unprompt.images.decode; print(*sorted({'torch', 'onnxruntime', 'PIL.ImageCms'} & {*sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
