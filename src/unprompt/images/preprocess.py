"""Turns pixels into the tensor that a model expects, by the rules stored with its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from unprompt.checked import Bounds, read
from unprompt.errors import ModelError

INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

View: TypeAlias = Literal["whole", "mirrored", "middle"]
"""One way to look at a picture; a model may average its outputs over several views."""

VIEWS: tuple[View, ...] = get_args(View)

_MIDDLE_SHARE = 0.875
"""The share of the side that the "middle" view keeps: the customary centre crop in tests of ImageNet models."""
_LONGEST_ASPECT = 64
"""Beyond this aspect ratio only the middle is resized: 1 x 65,000 pixels would grow to gigabytes."""

LARGEST_INPUT = 4096
"""Pixels per side: no image network takes more."""

_LEAST_CROP_SHARE = 0.25
"""No model crops more; the smaller the share, the more resized pixels are thrown away."""

AboveZero: TypeAlias = Annotated[float, Bounds(0, exclusive="least")]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a model expects its input; a part of its config.json.

    `input_size` is the side of the square in pixels. `resize` "shortest" resizes the shorter side to it and crops the
    middle, "squash" resizes both sides to it. With a `crop_share` below 1 the picture is resized to a larger size, of
    which the square keeps this share of each side (timm's crop_pct). `mean` and `std` are for red, green and blue, on a
    scale of 0 to 1.
    """

    input_size: Annotated[int, Bounds(1, LARGEST_INPUT)]
    resize: Literal["shortest", "squash"]
    interpolation: Literal["bicubic", "bilinear"]
    crop: Literal["center"]
    mean: tuple[float, float, float]
    std: tuple[AboveZero, AboveZero, AboveZero]
    crop_share: Annotated[float, Bounds(_LEAST_CROP_SHARE, 1)] = 1.0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Read what `to_config` writes. Raises ModelError if a key is missing, unknown or has a bad value."""
        return read(cls, config, "the model's preprocessing", error=ModelError)

    def to_config(self) -> dict[str, Any]:
        """Return a JSON object; a crop share of 1 is omitted."""
        config = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if self.crop_share == 1:
            del config["crop_share"]
        return config

    @property
    def resized_side(self) -> int:
        """The pixels to which the shorter side ("squash": both sides) is resized before the square is cropped."""
        return math.floor(self.input_size / self.crop_share)

    def of_view(self, view: View) -> Preprocessing:
        """The preprocessing for one view; the middle view has a smaller crop share."""
        return replace(self, crop_share=_MIDDLE_SHARE * self.crop_share) if view == "middle" else self


PUBLISHED_VIT = Preprocessing(
    input_size=224,
    resize="shortest",
    interpolation="bilinear",
    crop="center",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
"""The input of the published ensemble's ViT: torchvision's Resize(224), ToTensor and Normalize with ImageNet's values.

There it was given square pictures only and nothing was cropped; of other pictures, unprompt takes the middle.
"""


def preprocess(
    pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing, view: View = "whole"
) -> npt.NDArray[np.float32]:
    """Convert (height, width, 3) uint8 RGB to (3, input_size, input_size) float32, contiguous.

    The numbers equal those of torchvision's Resize, CenterCrop, ToTensor and Normalize for a Pillow picture, with which
    timm and open_clip evaluate.
    """
    square = fit_square(Image.fromarray(pixels), preprocessing, view)
    channels = np.asarray(square).transpose(2, 0, 1).astype(np.float32, order="C")  # (3, size, size)
    channels /= 255
    channels -= np.array(preprocessing.mean, dtype=np.float32)[:, None, None]
    channels /= np.array(preprocessing.std, dtype=np.float32)[:, None, None]
    return channels


def fit_square(image: Image.Image, preprocessing: Preprocessing, view: View = "whole") -> Image.Image:
    """Resize and crop one view of a picture to the model's square of `input_size`, not yet normalised."""
    if view == "mirrored":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    preprocessing = preprocessing.of_view(view)
    if preprocessing.resize == "squash":
        image = _resized(image, (preprocessing.resized_side, preprocessing.resized_side), preprocessing)
    else:
        image = _shortest(image, preprocessing)
    return _middle_square(image, preprocessing.input_size)


def within_aspect(image: Image.Image) -> Image.Image:
    """Crop a very long picture to its middle, the only part that a square crop can touch."""
    shorter, longer = sorted(image.size)
    if longer <= _LONGEST_ASPECT * shorter:
        return image
    # Both ends lose the same number of pixels, so that the middle stays where it was.
    spare = (longer - _LONGEST_ASPECT * shorter) // 2
    if image.width > image.height:
        return image.crop((spare, 0, image.width - spare, image.height))
    return image.crop((0, spare, image.width, image.height - spare))


def _shortest(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Resize the shorter side to `resized_side`, rounding as torchvision does."""
    image = within_aspect(image)
    side = preprocessing.resized_side
    shorter, longer = sorted(image.size)
    unfolded = int(side * longer / shorter)
    size = (side, unfolded) if image.width <= image.height else (unfolded, side)
    return _resized(image, size, preprocessing)


def _middle_square(image: Image.Image, side: int) -> Image.Image:
    """Crop the middle, rounding as torchvision does."""
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    return image.crop((left, top, left + side, top + side))


def _resized(image: Image.Image, size: tuple[int, int], preprocessing: Preprocessing) -> Image.Image:
    return image if image.size == size else image.resize(size, INTERPOLATIONS[preprocessing.interpolation])
