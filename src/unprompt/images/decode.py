"""Decodes a picture file into upright RGB pixels on white, or says why it cannot.

Colour profiles are not applied: models were trained on the pixels as stored in the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from unprompt.display import printable
from unprompt.errors import PictureError
from unprompt.images import metadata, png
from unprompt.images.arrays import from_array, size_of
from unprompt.images.costs import TimeLimits, check_time, memory_mb
from unprompt.images.files import FileView
from unprompt.images.formats import HEAD_SIZE, format_of, is_decodable, refusal
from unprompt.images.jpeg_xl import JpegXlImageFile
from unprompt.images.metadata import beside
from unprompt.images.ref import ImageRef, Pixels
from unprompt.images.rgb import exchanges_sides, orientation_of, rgb_of_strips, rgb_pixels, upright
from unprompt.images.room import Room
from unprompt.prediction import Failure, WrittenPrompt

MEMORY_LIMIT_MB = 950.0
"""Memory that decoding one picture may take: what a WebP of 8192 x 8192 with transparency does, the most of those."""

_TOGETHER_MB = 180
"""Memory that all decoding threads share; a picture that takes more is decoded by strips, or alone."""

TIME_LIMITS = TimeLimits()

_HASHED_BYTES = 2**20
"""How much of a file is hashed at a time: of one that is not read whole, no more is held."""

_FILES_MB = 64
"""Limit on the files held in memory by all decoding threads together; a larger file is read alone."""


class _File(io.BytesIO):
    """A picture's file with a limit on the number of reads: Pillow skips blocks and fill bytes one read at a time."""

    def __init__(self, data: bytes, reads_limit: int) -> None:
        super().__init__(data)
        self._reads_limit = self._reads_left = reads_limit

    def read(self, size: int | None = -1, /) -> bytes:
        """Read like BytesIO. Raises PictureError (too-large) past the limit."""
        self._reads_left -= 1
        if self._reads_left < 0:
            raise png.too_fragmented(self._reads_limit)
        return super().read(size)


class _WebP(WebPImagePlugin.WebPImageFile):
    """A WebP whose decoder, with two copies of the picture, is dropped before Pillow makes the third."""

    def load_prepare(self) -> None:
        if self._im is None:
            self._decoder = None
        super().load_prepare()


class _Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF without Pillow's own size check, which would warn or raise again while loading."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()


def _avif(file: _File) -> ImageFile.ImageFile:
    from PIL.AvifImagePlugin import AvifImageFile  # loads 3 MB of a library

    return AvifImageFile(file)


def _heic(file: _File) -> ImageFile.ImageFile:
    from pillow_heif import HeifImageFile  # loads 27 MB of libraries, and registers nothing

    image: ImageFile.ImageFile = HeifImageFile(file)  # type: ignore[no-untyped-call]
    return image


# The classes are called directly: Image.open checks each picture against the process-wide MAX_IMAGE_PIXELS, and a
# library cannot change that, or silence its warning, without affecting other threads.
_FORMATS: dict[str, Callable[[_File], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": _WebP,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": _Tiff,
    "AVIF": _avif,
    "HEIC": _heic,
    "JXL": JpegXlImageFile,
}

Known = TypeVar("Known")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture.

    `pixels` is (height, width, 3) uint8 RGB, upright, on white, and reduced if the file is far larger than requested.
    `size` (width, height) is the full size as a viewer shows it. `written` is the prompt stored in the file's metadata
    or, if that holds none, beside it; a picture that has one is not decoded: its `pixels` are (0, 0, 3), its size
    (0, 0). `format` is one of `format_of`, or None without a file. `sha256` (hex) is the hash of the file's bytes or,
    without a file, of the text "width height " followed by the full-size RGB pixels; a prompt in a text file beside the
    picture changes it.
    """

    source: str
    pixels: Pixels
    size: tuple[int, int]
    format: str | None
    sha256: str
    written: WrittenPrompt | None


def decode(
    ref: ImageRef,
    *,
    shorter_side: int | None = None,
    pixel_limit_mp: float = 100.0,
    memory_limit_mb: float = MEMORY_LIMIT_MB,
    time_limits: TimeLimits = TIME_LIMITS,
    read_metadata: bool = True,
    read_beside: bool = True,
    known: Callable[[str], Known | None] | None = None,
) -> Picture | Known | Failure:
    """Read and decode one picture; a bad file gives a Failure, never an exception.

    `shorter_side` is the number of pixels that the model needs: a larger picture is reduced, but its shorter side stays
    at least this long; None keeps every pixel. Before anything is decoded, the header is checked against
    `pixel_limit_mp` (millions of pixels) and `memory_limit_mb` (without the file itself), and the structure of the file
    against `time_limits`. A picture whose prompt is written is not decoded, so no limit refuses it. Without
    `read_metadata` no written prompt is looked for, without `read_beside` none in a text file beside the picture, which
    counts if the picture itself holds none. `known` is called first with the picture's sha256; if it returns anything
    but None, that is the result, and nothing is decoded. The kinds of Failure are those of PictureError. Safe to call
    from many threads; large pictures then wait for each other.
    """
    limits = _Limits(pixel_limit_mp, memory_limit_mb, time_limits)
    try:
        if isinstance(ref.content, (Image.Image, np.ndarray)):
            return _decode_memory(ref.source, ref.content, shorter_side, limits, known)
        beside_it = beside.read(ref.file) if read_metadata and read_beside and ref.file else None
        with _FILES.taken(ref.size_mb):
            try:
                data = ref.read()
            except PictureError as error:
                if error.kind == "too-large" and read_metadata and ref.is_viewable:
                    return _written_in_large(ref, beside_it, known, error)
                raise
            sha256 = _sha256(data, beside_it)
            if known is not None and (answer := known(sha256)) is not None:
                return answer
            name = format_of(data)
            written = (metadata.read(data) or beside_it) if read_metadata else None
            if written is not None:
                return _undecoded(ref, name, sha256, written)
            if not is_decodable(name):
                raise refusal(name)
            pixels, size = _decode_file(data, name, shorter_side, limits)
        return Picture(ref.source, pixels, size, name, sha256, None)
    except PictureError as error:
        return Failure(ref.source, error.kind, str(error))


def _written_in_large(
    ref: ImageRef,
    beside_it: WrittenPrompt | None,
    known: Callable[[str], Known | None] | None,
    too_large: PictureError,
) -> Picture | Known:
    """The written prompt of a file that is too large to be read whole. Raises `too_large` if there is none."""
    with ref.view() as data:
        written = metadata.read(data) or beside_it
        if written is None:
            raise too_large
        sha256 = _sha256(data, beside_it)
        if known is not None and (answer := known(sha256)) is not None:
            return answer
        return _undecoded(ref, format_of(data[:HEAD_SIZE]), sha256, written)


def _undecoded(ref: ImageRef, name: str, sha256: str, written: WrittenPrompt) -> Picture:
    return Picture(ref.source, np.empty((0, 0, 3), np.uint8), (0, 0), name, sha256, written)


def _sha256(data: bytes | FileView, said_beside: WrittenPrompt | None) -> str:
    """Hash a picture's file, and with it what is said beside it, for both determine the answer."""
    file = hashlib.sha256()
    for start in range(0, len(data), _HASHED_BYTES):
        file.update(data[start : start + _HASHED_BYTES])
    if said_beside is None:
        return file.hexdigest()
    return hashlib.sha256(file.digest() + repr(said_beside).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Limits:
    """Limits on what decoding a picture may cost."""

    pixels_mp: float
    memory_mb: float
    time: TimeLimits

    def check_pixels(self, size: tuple[int, int]) -> None:
        width, height = size
        if not width * height:
            raise PictureError("not-a-picture", f"expected a picture with pixels, found one of {width} x {height}")
        if width * height > self.pixels_mp * 1_000_000:
            raise PictureError(
                "too-large",
                f"expected at most {self.pixels_mp:g} megapixels, found {width * height / 1_000_000:,.1f} "
                f"({width} x {height}); save it smaller or raise the pixel limit",
            )

    def check_memory(self, needed_mb: float) -> None:
        if needed_mb > self.memory_mb:
            raise PictureError(
                "too-large",
                f"expected a picture that takes at most {self.memory_mb:,.0f} MB to decode, found one that takes "
                f"{needed_mb:,.0f} MB; save it smaller or raise the memory limit",
            )


_ROOM = Room(_TOGETHER_MB)
_FILES = Room(_FILES_MB)


def _decode_file(data: bytes, name: str, shorter_side: int | None, limits: _Limits) -> tuple[Pixels, tuple[int, int]]:
    """Return the upright, reduced pixels of a file in the format `name`, and the full size (width, height)."""
    with _broken_data(name):
        needed = png.bare(data, limits.time.png_runs) if name == "PNG" else data
        image = _FORMATS[name](_File(needed, limits.time.reads))
        size = image.size
        limits.check_pixels(size)
        check_time(image, data, limits.time)
        factor = _reduction(size, shorter_side)
        drafted = _draft_factor(size, factor) if name == "JPEG" else 1  # only JPEG can be decoded at a reduced size
        needed_mb = memory_mb(image, drafted)
        if name == "PNG" and needed_mb > _TOGETHER_MB and png.has_strips(needed):
            return _decode_strips(png.Strips(needed), factor, limits)
        limits.check_memory(needed_mb)
        with _ROOM.taken(needed_mb):
            image.draft(None, (size[0] // drafted, size[1] // drafted))
            lying = rgb_pixels(image, (size[0] / drafted, size[1] / drafted), _reduced(size, factor))
            orientation = orientation_of(image)
            pixels = upright(lying, orientation)
        if name == "HEIC" and image.size != size:  # its boxes state a size, its pixels have another
            raise PictureError(
                "truncated",
                f"expected a HEIC of {size[0]} x {size[1]} pixels, as its header says, found {image.size[0]} x "
                f"{image.size[1]}; fetch or export it again",
            )
        if drafted == 1:
            size = image.size  # Pillow rotates a TIFF while loading it
        return pixels, _shown(size, orientation)


def _decode_strips(strips: png.Strips, factor: int, limits: _Limits) -> tuple[Pixels, tuple[int, int]]:
    """Like `_decode_file`, of a PNG that is too large to be decoded at once."""
    size = (strips.width, strips.height)
    limits.check_memory(strips.memory_mb)
    with _ROOM.taken(strips.memory_mb):
        lying = rgb_of_strips(strips, _reduced(size, factor))
        orientation = orientation_of(strips)
        return upright(lying, orientation), _shown(size, orientation)


def _shown(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The size of a picture once it is upright."""
    return size[::-1] if exchanges_sides(orientation) else size


def _decode_memory(
    source: str,
    content: Image.Image | npt.NDArray[Any],
    shorter_side: int | None,
    limits: _Limits,
    known: Callable[[str], Known | None] | None,
) -> Picture | Known:
    """Convert a picture that the caller holds in memory."""
    limits.check_pixels(size_of(content) if isinstance(content, np.ndarray) else content.size)
    image = from_array(content) if isinstance(content, np.ndarray) else content
    if _is_closed(image):
        raise PictureError(
            "unreadable",
            "expected an open picture, found one whose file was closed before it was read; predict inside the `with` "
            "that opened it, or give its path",
        )
    with _broken_data(image.format or "picture"):
        if isinstance(image, ImageFile.ImageFile):  # opened from a file, it may still be undecoded
            limits.check_memory(memory_mb(image))
        rgb = upright(rgb_pixels(image, image.size, image.size), orientation_of(image))
        sha256 = hashlib.sha256(f"{rgb.shape[1]} {rgb.shape[0]} ".encode() + rgb.tobytes()).hexdigest()
        if known is not None and (answer := known(sha256)) is not None:
            return answer
        size = (rgb.shape[1], rgb.shape[0])
        factor = _reduction(size, shorter_side)
        pixels = rgb if factor == 1 else rgb_pixels(Image.fromarray(rgb), size, _reduced(size, factor))
    return Picture(source, pixels, size, image.format, sha256, None)


def _is_closed(image: Image.Image) -> bool:
    """Whether its pixels cannot be had any more."""
    if isinstance(image, ImageFile.ImageFile) and image.tile:  # they are still in the file
        return image.fp is None or getattr(image.fp, "closed", False)
    try:
        _ = image.im
    except ValueError:  # after Image.close()
        return True
    except AssertionError:  # not loaded, by a format that has no tiles
        return False
    return False


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
    # Seen in 190,000 damaged files: OSError, SyntaxError, ValueError, RuntimeError, AssertionError. Pillow also
    # expects EOFError, IndexError, KeyError, TypeError, OverflowError and struct.error from its decoders. A kind that
    # is forgotten here would stop a whole batch, so all are caught.
    except Exception as error:
        detail = printable(str(error)) or type(error).__name__
        raise PictureError(
            "truncated",
            f"expected a whole {name}, found one that ends early, is damaged or of a rare kind ({detail}); "
            "fetch or export it again",
        ) from error


def _reduction(size: tuple[int, int], shorter_side: int | None) -> int:
    """The factor by which both sides shrink: 8, 4, 2 or 1, the factors of JPEG's own scaling."""
    if shorter_side is None:
        return 1
    return next((factor for factor in (8, 4, 2) if min(size) >= factor * shorter_side), 1)


def _reduced(size: tuple[int, int], factor: int) -> tuple[int, int]:
    return max(1, round(size[0] / factor)), max(1, round(size[1] / factor))


def _draft_factor(size: tuple[int, int], factor: int) -> int:
    """The share of a reduction that JPEG's own scaling may do.

    If a side is not a multiple of the factor, the scaled last column or row covers less than the others, which would
    stretch the picture. Then averaging, which knows the exact size, does the last factor of 2.
    """
    if factor == 1 or size[0] % factor == 0 == size[1] % factor:
        return factor
    return factor // 2
