"""A file's bytes -> upright RGB pixels on white, or the reason why there are none.

Colour profiles are not applied: models were trained on pixels as they stand in the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from unprompt.errors import PictureError
from unprompt.images import metadata
from unprompt.images.sources import ImageRef, Pixels, printable
from unprompt.prediction import Failure, WrittenPrompt

DRAFT_MARGIN = 4
"""A large picture is reduced while it is decoded, but its shorter side stays this many times what the model needs.

Against full decoding, the model's input then differs by 0.3 grey levels in the mean (of 255; mosaics of 256-pixel
pictures as JPEG, bicubic to 224), about what rounding to bytes costs. At a margin of 3 it is 0.45, at 2 it is 1.1.
"""


class _Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF whose size is ours to judge: Pillow's own warns, or raises, once more while loading."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()


# The classes are called directly. Image.open would hold each picture against the process-wide MAX_IMAGE_PIXELS, and a
# library can neither change that nor silence its warning without touching other threads.
_FORMATS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": _Tiff,
    "AVIF": AvifImagePlugin.AvifImageFile,
}

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS_OF_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"})

# What lays a picture upright, by its EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture.

    `pixels` (height, width, 3) uint8 RGB, upright, on white; reduced where the file is far larger than was asked for.
    `size` (width, height) is the file's own, as a viewer shows it. `format` is "PNG", "JPEG", "WEBP", "GIF", "BMP",
    "TIFF" or "AVIF", None where there was no file. `sha256` (hex) is of the file's bytes or, without a file, of the
    full-size RGB pixels. `written` is the prompt that the file itself holds.
    """

    source: str
    pixels: Pixels
    size: tuple[int, int]
    format: str | None
    sha256: str
    written: WrittenPrompt | None


def decode(
    ref: ImageRef, *, shorter_side: int | None = None, pixel_limit_mp: float = 100.0, read_metadata: bool = True
) -> Picture | Failure:
    """Read one picture; never raises for what a file holds.

    `shorter_side` is how many pixels the model needs: larger pictures may come reduced (see DRAFT_MARGIN); None keeps
    every pixel. `pixel_limit_mp` is in millions of pixels and is held against the header, before any is decoded.
    The kinds of Failure are those of PictureError. Safe to call from many threads.
    """
    try:
        return _decode(ref, shorter_side, pixel_limit_mp, read_metadata)
    except PictureError as error:
        return Failure(ref.source, error.kind, str(error))


def _decode(ref: ImageRef, shorter_side: int | None, pixel_limit_mp: float, read_metadata: bool) -> Picture:
    if isinstance(ref.content, (Image.Image, np.ndarray)):
        return _decode_memory(ref.source, ref.content, shorter_side, pixel_limit_mp)
    data = ref.read()
    name = _format(data)
    with _broken_data(name):
        image = _FORMATS[name](io.BytesIO(_bare_png(data) if name == "PNG" else data))
        _check_pixel_count(image.size, pixel_limit_mp)
        factor = _reduction(image.size, shorter_side)
        drafted = factor if name == "JPEG" else 1  # the others have no cheaper way to a smaller picture
        image.draft(None, (image.width // drafted, image.height // drafted))
        rgb = _upright_rgb(image)
    return Picture(
        source=ref.source,
        pixels=_pixels(rgb, factor // drafted),
        size=(rgb.width * drafted, rgb.height * drafted),  # the factor divides both sides
        format=name,
        sha256=hashlib.sha256(data).hexdigest(),
        written=metadata.read(data) if read_metadata else None,
    )


def _decode_memory(
    source: str, content: Image.Image | Pixels, shorter_side: int | None, pixel_limit_mp: float
) -> Picture:
    """A picture that the caller holds. One that Pillow opened from a file may still be undecoded, and broken."""
    image = _from_array(content) if isinstance(content, np.ndarray) else content
    _check_pixel_count(image.size, pixel_limit_mp)
    with _broken_data(image.format or "picture"):
        rgb = _upright_rgb(image)
    return Picture(
        source=source,
        pixels=_pixels(rgb, _reduction(rgb.size, shorter_side)),
        size=rgb.size,
        format=image.format,
        sha256=hashlib.sha256(rgb.tobytes()).hexdigest(),
        written=None,
    )


def _from_array(array: npt.NDArray[np.generic]) -> Image.Image:
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3 and array.size:
        return Image.fromarray(array)
    raise PictureError(
        "not-a-picture",
        f"expected an array (height, width, 3) of uint8, RGB; found {array.shape} of {array.dtype}; convert it first",
    )


def _format(data: bytes) -> str:
    """The format by the first bytes. A file's name says nothing."""
    for name in _FORMATS:
        _, accept = Image.OPEN[name]
        if accept is not None and accept(data[:16]):
            return name
    found = f"data that begins with {data[:12]!r}" if data else "an empty file"
    raise PictureError(
        "not-a-picture", f"expected PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF, found {found}; convert it to one of these"
    )


@contextlib.contextmanager
def _broken_data(name: str) -> Iterator[None]:
    """Turn what Pillow raises into a PictureError."""
    try:
        yield
    except PictureError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise PictureError(
            "too-large", f"expected a {name} that fits into memory, found more; save it smaller"
        ) from error
    # Seen in 190,000 damaged files: OSError, SyntaxError, ValueError, RuntimeError, AssertionError. Pillow expects
    # EOFError, IndexError, KeyError, TypeError, OverflowError and struct.error of its decoders besides. Each format
    # has its own, and one forgotten would stop a batch; so this is all of them.
    except Exception as error:
        detail = printable(str(error)) or type(error).__name__
        raise PictureError(
            "truncated",
            f"expected a whole {name}, found one that ends early, is damaged or of a rare kind ({detail}); "
            "fetch or export it again",
        ) from error


def _check_pixel_count(size: tuple[int, int], limit_mp: float) -> None:
    width, height = size
    if width * height > limit_mp * 1_000_000:
        raise PictureError(
            "too-large",
            f"expected at most {limit_mp:g} megapixels, found {width * height / 1_000_000:,.1f} ({width} x {height}); "
            "save it smaller or raise the pixel limit",
        )


def _bare_png(data: bytes) -> bytes:
    """The PNG with only the chunks that its pixels depend on.

    Pillow unpacks text and colour profiles while opening, and gives up on a picture whose text is long or damaged. A
    viewer shows it all the same, and generators write long texts.
    """
    kept, position, name = [_PNG_SIGNATURE], len(_PNG_SIGNATURE), b""
    while position < len(data) and name != b"IEND":
        name = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")  # length, name, data, checksum
        if name in _PNG_CHUNKS_OF_PIXELS:
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def _reduction(size: tuple[int, int], shorter_side: int | None) -> int:
    """By how much both sides can shrink at no cost in quality: 8, 4, 2 or 1, as JPEG's own scaling does.

    Only a factor that divides both sides: a rest at the edge would stretch the picture, which the model's input shows
    (up to 6 grey levels in the mean). Generators and cameras make sides that are multiples of 8.
    """
    if shorter_side is None:
        return 1
    enough = DRAFT_MARGIN * shorter_side
    fitting = (f for f in (8, 4, 2) if size[0] % f == 0 == size[1] % f and min(size) // f >= enough)
    return next(fitting, 1)


def _pixels(rgb: Image.Image, factor: int) -> Pixels:
    return np.array(rgb.reduce(factor) if factor > 1 else rgb)


def _upright_rgb(image: Image.Image) -> Image.Image:
    # Read before loading, which empties the list. Only a GIF's frame may cover less than the picture.
    covered = image.tile[0][1] if isinstance(image, GifImagePlugin.GifImageFile) and image.tile else None
    image.load()
    rgb = _on_white(image)
    if covered is not None and covered != (0, 0, *image.size):
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(rgb.crop(covered), covered)
        rgb = canvas
    turn = _UPRIGHT.get(_orientation(image))
    return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8. Pillow has turned a TIFF by now, and says 1."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF says nothing, and viewers show such a picture as it lies
        return 1
    return value if isinstance(value, int) else 1


def _on_white(image: Image.Image) -> Image.Image:
    """Any mode -> RGB, with white where the picture is transparent."""
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return _eight_bits(image).convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode in ("La", "PA"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _eight_bits(image: Image.Image) -> Image.Image:
    """16 or 32 bits a pixel -> 8, scaled; Pillow's own conversion clips at 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=np.inf, neginf=0)  # (height, width)
    grey = np.rint(values * (255 / _white_level(image, values))).clip(0, 255).astype(np.uint8)
    if (transparent := image.info.get("transparency")) is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _white_level(image: Image.Image, values: npt.NDArray[np.float32]) -> float:
    """The value that means white. Where the mode leaves it open: the lowest customary one that nothing exceeds."""
    if image.mode.startswith("I;16"):
        twelve = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(258) == (12,)  # bits a sample
        return 4095.0 if twelve else 65535.0
    brightest = float(values.max(initial=0, where=np.isfinite(values)))
    customary = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0, 2.0**31 - 1)
    return next((level for level in customary if level >= brightest), brightest)


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # rare, and loads a library of its own

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # only a conversion in place gives none
    return converted
