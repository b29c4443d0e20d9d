"""Pictures in arrays and tensors: taken apart if they are many, and turned into 8 bits if their numbers are clear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from unprompt.errors import PictureError
from unprompt.images.ref import is_array

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]

CHANNELS = (1, 2, 3, 4)
"""Grey, grey with alpha, RGB and RGBA."""

_STRIP_NUMBERS = 2**22
_OVERSHOOT = 0.05
"""How far numbers from 0 to 1 may lie outside: resizing with a sharp filter makes such ones."""

_LEAST_OF_255 = 16.0
"""The least brightest number of a picture whose floats mean 0 to 255: a smaller one may as well be a normalised 2.6."""


def pictures_in(item: Array | torch.Tensor) -> Iterator[Array]:
    """Each picture of an array, one after the other: (height, width) or (height, width, channels).

    A stack is (n, height, width, channels). In a torch tensor channels come first, (channels, height, width) and (n,
    channels, height, width), unless only the last axis can be the channels. Raises TypeError for a tensor that torch
    cannot turn into an array.
    """
    for each in item if item.ndim == 4 else (item,):
        yield each if is_array(each) else _from_tensor(each)


def size_of(array: Array) -> tuple[int, int]:
    """The width and height of one picture. Raises PictureError (not-a-picture) for an array of another shape."""
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in CHANNELS):
        return array.shape[1], array.shape[0]
    raise PictureError(
        "not-a-picture",
        "expected an array (height, width), (height, width, channels) with 1 to 4 channels, or a stack of the latter; "
        f"found {array.shape}; move channels to the end: numpy.moveaxis(array, -3, -1), and give a stack of grey "
        "pictures as array[..., None]",
    )


def from_array(array: Array) -> Image.Image:
    """A picture of 8 bits: L, LA, RGB or RGBA.

    uint8, booleans and uint16 mean what their type can hold; other numbers are floats from 0 to 1, or 0 to 255. Raises
    PictureError (not-a-picture) for other numbers and shapes.
    """
    size_of(array)
    white = _white(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(array))
    pixels = np.empty(array.shape, np.uint8)
    for rows in _strips(array):
        scaled = array[rows].astype(np.float32) * np.float32(255 / white)
        pixels[rows] = np.rint(scaled).clip(0, 255)
    return Image.fromarray(pixels)


def _from_tensor(tensor: torch.Tensor) -> Array:
    try:
        held = tensor.detach().cpu()
        array: Array = (held.float() if held.is_floating_point() else held).numpy()  # numpy knows no bfloat16
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise TypeError(f"expected a tensor that holds pixels, found one that cannot be read: {error}") from error
    first = array.ndim == 3 and array.shape[0] in CHANNELS
    return np.moveaxis(array, 0, -1) if first else array


def _white(array: Array) -> float:
    """The number that means white. Raises PictureError (not-a-picture)."""
    if array.dtype.kind == "b":
        return 1.0
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return float(np.iinfo(array.dtype).max)
    found = str(array.dtype)
    if array.dtype.kind in "iuf":
        lowest, highest = _range(array)
        if array.dtype.kind == "f" and lowest >= -_OVERSHOOT and highest <= 1 + _OVERSHOOT:
            return 1.0
        least = _LEAST_OF_255 if array.dtype.kind == "f" else 0
        if lowest >= 0 and least <= highest <= 255:
            return 255.0
        found += f" from {lowest:.4g} to {highest:.4g}"
    raise PictureError(
        "not-a-picture",
        f"expected uint8, floats from 0 to 1, or numbers from 0 to 255, found {found}; undo a normalisation "
        "(pixels * std + mean), or clip and convert it first",
    )


def _range(array: Array) -> tuple[float, float]:
    """The least and the greatest number; not a number, if one of them is not."""
    ranges = [(float(array[rows].min()), float(array[rows].max())) for rows in _strips(array)]
    lowest, highest = np.array(ranges).T
    return float(lowest.min()), float(highest.max())


def _strips(array: Array) -> Iterator[slice]:
    """Rows that are worked on together, so that no copy of a large picture is made."""
    rows = max(1, _STRIP_NUMBERS // max(1, array[0].size))
    yield from (slice(start, start + rows) for start in range(0, len(array), rows))
