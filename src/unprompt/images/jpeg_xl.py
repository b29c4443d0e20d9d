"""JPEG XL, decoded by the package pillow-jxl-plugin, whose own class decodes a picture before its size can be checked.

Sources: ISO/IEC 18181-1, annex D; libjxl, lib/jxl/headers.cc and image_metadata.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageFile

from unprompt.errors import PictureError
from unprompt.images.metadata.stripping import jxl

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_CODESTREAM = b"\xff\x0a"
_PROFILE_OF_INKS = b"CMYK"

# A number of JPEG XL begins with two bits that choose how it goes on: so many bits, added to this.
_SIZE = ((9, 1), (13, 1), (18, 1), (30, 1))
_PREVIEW_EIGHTHS = ((0, 16), (0, 32), (5, 1), (9, 33))
_PREVIEW = ((6, 1), (8, 65), (10, 321), (12, 1345))
_TICKS, _TICK_PARTS = ((0, 100), (0, 1000), (10, 1), (30, 1)), ((0, 1), (0, 1001), (8, 1), (10, 1))
_LOOPS = ((0, 0), (3, 0), (16, 0), (32, 0))
_WHOLE_BITS, _FLOAT_BITS = ((0, 8), (0, 10), (0, 12), (6, 1)), ((0, 32), (0, 16), (0, 24), (6, 1))
_CHANNELS = ((0, 0), (0, 1), (4, 2), (12, 1))


@dataclass(frozen=True, slots=True)
class Header:
    """What decoding costs: the size (width, height) of the upright picture, and its channels beside the colours."""

    size: tuple[int, int]
    extra_channels: int


def read_header(codestream: bytes) -> Header:
    """Read the first few bytes of a codestream; what is missing counts as zeros."""
    bits = _Bits(codestream[len(_CODESTREAM) : 64])
    width, height = _size(bits)
    if bits.take(1):  # all else as usual
        return Header((width, height), 0)
    orientation = 1
    if bits.take(1):
        orientation = 1 + bits.take(3)
        if bits.take(1):
            _size(bits)  # at which it wants to be shown
        if bits.take(1):
            _skip_preview(bits)
        if bits.take(1):
            _skip_animation(bits)
    if bits.take(1):
        bits.number(_FLOAT_BITS)
        bits.take(4)
    else:
        bits.number(_WHOLE_BITS)
    bits.take(1)
    size = (height, width) if orientation > 4 else (width, height)
    return Header(size, bits.number(_CHANNELS))


class JpegXlImageFile(ImageFile.ImageFile):
    """A JPEG XL, upright; of an animation the last frame. `info["extra_channels"]` is their number."""

    format = "JXL"
    format_description = "JPEG XL"

    def _open(self) -> None:
        assert self.fp is not None
        # Without its boxes, no JPEG is rebuilt, which would lie as its EXIF says, and nothing is unpacked unchecked.
        self._file = jxl.strip(self.fp.read())
        header = read_header(jxl.codestream(self._file))
        self._size, self._mode = header.size, "RGB"
        self.info["extra_channels"] = header.extra_channels
        self.tile = []

    def load(self) -> Any:
        """Decode the pixels. Raises what the decoder raises."""
        if self._im is None:
            from pillow_jxl import Decoder

            try:
                _, found, pixels, profile, _ = Decoder(num_threads=0)(self._file)
            except RuntimeError:  # its words are about how to build the library
                raise OSError("the codestream cannot be decoded") from None
            if profile[16:20] == _PROFILE_OF_INKS:
                raise PictureError(
                    "truncated", "expected a JPEG XL in RGB or grey, found one in CMYK; convert it to RGB"
                )
            self._size, self._mode = (found.width, found.height), "F" if found.mode == "F;16" else found.mode
            self.im = Image.frombytes(self._mode, self._size, pixels).im
            self._file = b""
        return super().load()


class _Bits:
    """Bits from the lowest of each byte to the highest."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        found = self._left & (1 << count) - 1
        self._left >>= count
        return found

    def number(self, choices: tuple[tuple[int, int], ...]) -> int:
        """The next number, in the way that its first two bits choose."""
        bits, offset = choices[self.take(2)]
        return self.take(bits) + offset


def _size(bits: _Bits) -> tuple[int, int]:
    by_eight = bits.take(1)
    height = 8 * (1 + bits.take(5)) if by_eight else bits.number(_SIZE)
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        return height * across // down, height
    return (8 * (1 + bits.take(5)) if by_eight else bits.number(_SIZE)), height


def _skip_preview(bits: _Bits) -> None:
    choices = _PREVIEW_EIGHTHS if bits.take(1) else _PREVIEW
    bits.number(choices)
    if not bits.take(3):
        bits.number(choices)


def _skip_animation(bits: _Bits) -> None:
    for choices in (_TICKS, _TICK_PARTS, _LOOPS):
        bits.number(choices)
    bits.take(1)
