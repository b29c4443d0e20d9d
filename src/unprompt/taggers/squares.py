"""Turns pictures into the inputs of taggers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from unprompt.taggers.families import Square

LONGEST_PADDED = 4096
"""Longer pictures are reduced before they are padded: the square of a strip of 60,000 pixels would take 10 GB."""


def square_input(pixels: npt.NDArray[np.uint8], square: Square, side: int) -> npt.NDArray[np.float32]:
    """Convert (height, width, 3) uint8 RGB to a batch of one: (1, side, side, 3) if `raw`, else (1, 3, side, side)."""
    values = np.asarray(_fitted(Image.fromarray(pixels), square, side), np.float32)  # (side, side, 3)
    if square.raw:
        return np.ascontiguousarray(values[None, :, :, ::-1])
    channels = np.ascontiguousarray(values.transpose(2, 0, 1))
    channels /= 255
    channels -= np.array(square.mean, np.float32)[:, None, None]
    channels /= np.array(square.std, np.float32)[:, None, None]
    return channels[None]


def _fitted(image: Image.Image, square: Square, side: int) -> Image.Image:
    if square.fit == "inside":
        return _padded(image.resize(_inside(image.size, side), square.resampling), side, square)
    if square.fit == "pad":
        image = _reduced(image)
        image = _padded(image, max(image.size), square)
    return image if image.size == (side, side) else image.resize((side, side), square.resampling)


def _inside(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The largest size of these proportions that fits into the square, rounded down as Camie's own code does."""
    aspect = size[0] / size[1]
    width, height = (side, int(side / aspect)) if aspect > 1 else (int(side * aspect), side)
    return max(1, width), max(1, height)


def _padded(image: Image.Image, side: int, square: Square) -> Image.Image:
    if image.size == (side, side):
        return image
    canvas = Image.new("RGB", (side, side), square.background)
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def _reduced(image: Image.Image) -> Image.Image:
    longest = max(image.size)
    return image if longest <= LONGEST_PADDED else image.reduce(math.ceil(longest / LONGEST_PADDED))
