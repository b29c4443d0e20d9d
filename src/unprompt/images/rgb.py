"""Converts any picture that Pillow has opened to RGB pixels on white, at a given size.

It works strip by strip: beside Pillow's own copy of the picture, if there is one, only a strip and the result need
memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, GifImagePlugin, Image, TiffImagePlugin

from unprompt.images.png import STRIP_PIXELS, Strips

# How to turn an array (height, width, 3) upright, by EXIF orientation: whether to transpose rows and columns, then the
# step along the rows and along the columns.
_UPRIGHT = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}

_Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Strip:
    """Rows of the result, and the fractional rows of the picture, `top` to `bottom`, that they show."""

    rows: slice
    top: float
    bottom: float


def rgb_pixels(image: Image.Image, covered: tuple[float, float], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Scale the upper left part `covered` (width, height) of a picture to `size`: (height, width, 3) uint8.

    Each pixel of the result is the mean of the pixels that it covers. Raises what Pillow raises for broken data.
    """
    # Read before loading, which empties `tile`. Only a GIF's frame may cover less than the picture.
    frame = image.tile[0][1] if isinstance(image, GifImagePlugin.GifImageFile) and image.tile else None
    image.load()
    white_level = _white_level(image)

    def rows(top: int, bottom: int) -> Image.Image:
        part = image if (top, bottom) == (0, image.height) else image.crop((0, top, image.width, bottom))
        rgb = _on_white(part, white_level)
        return rgb if frame is None else _framed(rgb, (frame[0], frame[1] - top, frame[2], frame[3] - top))

    return _scaled(rows, image.height, covered, size)


def rgb_of_strips(strips: Strips, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Scale a PNG that is decoded strip by strip, like `rgb_pixels`. Raises what `Strips.rows` raises."""
    whole = (float(strips.width), float(strips.height))
    return _scaled(lambda top, bottom: _on_white(strips.rows(top, bottom), 255.0), strips.height, whole, size)


def _scaled(
    rows: Callable[[int, int], Image.Image], height: int, covered: tuple[float, float], size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Scale what `rows` gives, in RGB, from a first row to behind the last one."""
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    for strip in _strips(covered, size):
        top, bottom = math.floor(strip.top), min(math.ceil(strip.bottom), height)
        rgb = rows(top, bottom)
        shape = (size[0], strip.rows.stop - strip.rows.start)
        box = (0.0, strip.top - top, covered[0], strip.bottom - top)
        if rgb.size != shape or box != (0, 0, *rgb.size):
            rgb = rgb.resize(shape, Image.Resampling.BOX, box=box)
        pixels[strip.rows] = np.asarray(rgb)
    return pixels


def upright(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turn the pixels upright, as a viewer shows them, by EXIF orientation, 1 to 8."""
    if orientation not in _UPRIGHT:
        return pixels
    exchanged, down, right = _UPRIGHT[orientation]
    turned = pixels.transpose(1, 0, 2) if exchanged else pixels
    return np.ascontiguousarray(turned[::down, ::right])


def exchanges_sides(orientation: int) -> bool:
    """Whether turning a picture upright swaps width and height."""
    return orientation in _UPRIGHT and _UPRIGHT[orientation][0]


def orientation_of(image: Image.Image | Strips) -> int:
    """The EXIF orientation, 1 to 8. For a loaded TIFF it is 1, since Pillow has already turned the picture."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # viewers ignore damaged EXIF, too
        return 1
    return value if isinstance(value, int) else 1


def _strips(covered: tuple[float, float], size: tuple[int, int]) -> Iterator[_Strip]:
    scale = covered[1] / size[1]
    rows = max(1, int(STRIP_PIXELS / (covered[0] * scale)))
    for first in range(0, size[1], rows):
        last = min(first + rows, size[1])
        yield _Strip(slice(first, last), first * scale, last * scale)


def _framed(rgb: Image.Image, frame: _Box) -> Image.Image:
    """Paint everything outside the frame white."""
    inside = (max(frame[0], 0), max(frame[1], 0), min(frame[2], rgb.width), min(frame[3], rgb.height))
    if inside == (0, 0, *rgb.size):
        return rgb
    canvas = Image.new("RGB", rgb.size, "white")
    if inside[0] < inside[2] and inside[1] < inside[3]:
        canvas.paste(rgb.crop(inside), inside)
    return canvas


def _on_white(image: Image.Image, white_level: float) -> Image.Image:
    """Convert any mode to RGB, with white for transparency."""
    if _is_deep(image):
        return _eight_bits(image, white_level).convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    if image.mode in ("La", "PA"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _is_deep(image: Image.Image) -> bool:
    """Whether a pixel is a single number of more than 8 bits."""
    return image.mode in ("F", "I") or image.mode.startswith("I;16")


def _eight_bits(image: Image.Image, white_level: float) -> Image.Image:
    """Scale 16 or 32 bits per pixel to 8; Pillow's own conversion clips at 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=np.inf, neginf=0)  # (height, width)
    grey = np.rint(values * (255 / white_level)).clip(0, 255).astype(np.uint8)
    if (transparent := image.info.get("transparency")) is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _white_level(image: Image.Image) -> float:
    """The value that means white; if the mode does not define it, the lowest customary one that no pixel exceeds."""
    if not _is_deep(image):
        return 255.0
    if image.mode.startswith("I;16"):
        twelve = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(258) == (12,)  # bits a sample
        return 4095.0 if twelve else 65535.0
    brightest = max(_brightest(image, strip) for strip in _strips(image.size, image.size))
    customary = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0, 2.0**31 - 1)
    return next((level for level in customary if level >= brightest), brightest)


def _brightest(image: Image.Image, strip: _Strip) -> float:
    values = np.asarray(image.crop((0, strip.rows.start, image.width, strip.rows.stop)), dtype=np.float32)
    return float(values.max(initial=0, where=np.isfinite(values)))


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # rarely needed, and loads another library

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # only an in-place conversion returns None
    return converted
