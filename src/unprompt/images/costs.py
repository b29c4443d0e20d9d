"""What decoding a picture would cost in memory and time, estimated before it is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import ImageFile, JpegImagePlugin, TiffImagePlugin

from unprompt.errors import PictureError
from unprompt.images.jpeg_xl import JpegXlImageFile

# Peak bytes per pixel of Pillow and the format's own library, measured at 20 to 100 megapixels. Pillow keeps 4 for any
# colour picture; libwebp and libavif make copies. Of JPEG XL, progressive ones take the most, others a third.
_BYTES_A_PIXEL = {"WEBP": 12.4, "AVIF": 11.5, "HEIF": 9.0, "JXL": 27.0}
_BYTES_OF_ALPHA = {"WEBP": 1.7}
_BYTES_A_PIXEL_ELSE = 4.6
_BYTES_A_CHANNEL = 8.0  # and pixel, of a JPEG XL's channels beside the colours

# A JPEG marker is FF followed by anything but 00 and FF; among the pixels, FF00 and FFD0 to FFD7 are data.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_WITHOUT_LENGTH = b"\x01\xd8"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9

_TILE_WIDTH, _TILE_LENGTH, _ROWS_PER_STRIP, _BITS_PER_SAMPLE, _PLANES = 322, 323, 278, 258, 284
_SEPARATE_PLANES = 2


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Limits that keep a small file from taking minutes to decode."""

    jpeg_scans: int = 100  # encoders write about ten, libtiff stops here, and each may cost as much as a picture
    jpeg_fill_bytes: int = 1_000_000  # fill bytes before markers; Pillow skips them one at a time
    bmp_runs_mp: float = 16.0  # Pillow decodes a run-length encoded BMP in Python, 0.1 s per megapixel
    png_runs: int = 100_000  # runs of chunks that the pixels need, each between chunks that they do not need
    reads: int = 1_000_000  # half a second; the largest file in the smallest pieces that encoders write takes a tenth


def memory_mb(image: ImageFile.ImageFile, drafted: int = 1) -> float:
    """Estimate the memory that decoding takes, without the file's own bytes.

    `drafted` is the factor by which a JPEG is reduced in each direction while it is decoded.
    """
    pixels_mp = image.width * image.height / 1_000_000
    needed = pixels_mp * _BYTES_A_PIXEL.get(image.format or "", _BYTES_A_PIXEL_ELSE) / drafted**2
    if image.mode == "RGBA":
        needed += pixels_mp * _BYTES_OF_ALPHA.get(image.format or "", 0)
    if isinstance(image, JpegImagePlugin.JpegImageFile) and image.info.get("progressive"):
        needed += pixels_mp * _coefficient_bytes(image)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        needed += _part_mb(image)
    if isinstance(image, JpegXlImageFile):
        needed += pixels_mp * _BYTES_A_CHANNEL * image.info["extra_channels"]
    return needed


def check_time(image: ImageFile.ImageFile, data: bytes, limits: TimeLimits) -> None:
    """Refuse the few kinds of small file that take minutes to decode. Raises PictureError (too-large)."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        _check_scans(data, limits)
    compressed = image.format == "BMP" and image.tile and image.tile[0].codec_name == "bmp_rle"
    if compressed and image.width * image.height > limits.bmp_runs_mp * 1_000_000:
        raise PictureError(
            "too-large",
            f"expected a compressed BMP of at most {limits.bmp_runs_mp:g} megapixels, "
            f"found {image.width} x {image.height}; save it as PNG",
        )


def _check_scans(data: bytes, limits: TimeLimits) -> None:
    scans, fill = _scans(data, limits.jpeg_scans)
    if scans > limits.jpeg_scans or fill > limits.jpeg_fill_bytes:
        found = f"more than {limits.jpeg_scans} scans" if scans > limits.jpeg_scans else f"{fill:,} bytes of filling"
        raise PictureError(
            "too-large",
            f"expected a JPEG of at most {limits.jpeg_scans} scans, found one with {found}, which no camera writes; "
            "save it again",
        )


def _scans(data: bytes, limit: int) -> tuple[int, int]:
    """Count the scans of a JPEG, up to one past the limit, and the fill bytes before its markers.

    What follows the end of the picture, such as the video of a motion photo, is ignored.
    """
    scans = fill = position = 0
    while scans <= limit and (marker := _MARKER.search(data, position)):
        between = data[position : marker.start()]
        fill += len(between) - len(between.rstrip(b"\xff"))
        kind, position = marker[0][1], marker.end()
        if kind == _END_OF_IMAGE:
            break
        if kind not in _WITHOUT_LENGTH:
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
        scans += kind == _START_OF_SCAN
    return scans, fill


def _coefficient_bytes(image: JpegImagePlugin.JpegImageFile) -> float:
    """Bytes per pixel of a progressive JPEG's coefficients, which are all held even if the picture is reduced."""
    sampling = [(across, down) for _id, across, down, _table in image.layer]
    widest, highest = max(across for across, _ in sampling), max(down for _, down in sampling)
    return 2 * sum(across * down for across, down in sampling) / (widest * highest)


def _part_mb(image: TiffImagePlugin.TiffImageFile) -> float:
    """The memory of one tile or strip, which libtiff decodes whole, even beyond the edge of the picture."""
    tags = image.tag_v2
    width, height = tags.get(_TILE_WIDTH), tags.get(_TILE_LENGTH)
    if width is None or height is None:
        width, height = image.width, min(tags.get(_ROWS_PER_STRIP, image.height), image.height)
    bits = tags.get(_BITS_PER_SAMPLE, (1,))
    return float(width * height * (max(bits) if tags.get(_PLANES) == _SEPARATE_PLANES else sum(bits)) / 8 / 1_000_000)
