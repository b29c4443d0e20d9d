"""Pixels -> the tensor that one model expects, by the rules that travel with its weights."""

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
"""One way to look at a picture; a model may average what it sees in several."""

VIEWS: tuple[View, ...] = get_args(View)

_MIDDLE_SHARE = 0.875
"""Of the side that the view of the middle keeps: the share that ImageNet models have always been tested with."""
_LONGEST_ASPECT = 64
"""Beyond this ratio only the middle is resized: a file of 1 x 65,000 pixels would unfold to gigabytes."""

LARGEST_INPUT = 4096
"""Pixels: no image network sees more of a side."""

_LEAST_CROP_SHARE = 0.25
"""No model crops more; the smaller the share, the larger the picture that is resized and thrown away."""

AboveZero: TypeAlias = Annotated[float, Bounds(0, exclusive="least")]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a model wants to see a picture; a part of its config.json.

    `input_size` is the side of the square in pixels. "shortest" brings the shorter side to it and crops the middle,
    "squash" brings both sides to it. With a `crop_share` below 1 the picture is made larger than the square by so much
    that the square is this share of the side (timm's crop_pct). `mean` and `std` are for red, green, blue, on the scale
    of 0 to 1.
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
        """Read what `to_config` writes. Raises ModelError at a key that is missing, unknown or of no use."""
        return read(cls, config, "the model's preprocessing", error=ModelError)

    def to_config(self) -> dict[str, Any]:
        """The same as a JSON object; a crop share of 1 goes without saying."""
        config = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if self.crop_share == 1:
            del config["crop_share"]
        return config

    @property
    def resized_side(self) -> int:
        """To how many pixels the shorter side ("squash": both sides) is brought before the square is cut out."""
        return math.floor(self.input_size / self.crop_share)

    def of_view(self, view: View) -> Preprocessing:
        """The same for one view of the picture: that of the middle sees less of it."""
        return replace(self, crop_share=_MIDDLE_SHARE * self.crop_share) if view == "middle" else self


PUBLISHED_VIT = Preprocessing(
    input_size=224,
    resize="shortest",
    interpolation="bilinear",
    crop="center",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
"""What the ViT member of the published ensemble sees: torchvision's Resize(224), ToTensor and Normalize by ImageNet.

It was shown square pictures alone and crops nothing; where a picture is not square, ours is its middle.
"""


def preprocess(
    pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing, view: View = "whole"
) -> npt.NDArray[np.float32]:
    """(height, width, 3) uint8 RGB -> (3, input_size, input_size) float32, contiguous.

    The same numbers as torchvision's Resize, CenterCrop, ToTensor and Normalize give for a Pillow picture, which is
    what timm and open_clip evaluate with.
    """
    square = fit_square(Image.fromarray(pixels), preprocessing, view)
    channels = np.asarray(square).transpose(2, 0, 1).astype(np.float32, order="C")  # (3, size, size)
    channels /= 255
    channels -= np.array(preprocessing.mean, dtype=np.float32)[:, None, None]
    channels /= np.array(preprocessing.std, dtype=np.float32)[:, None, None]
    return channels


def fit_square(image: Image.Image, preprocessing: Preprocessing, view: View = "whole") -> Image.Image:
    """The picture, or one view of it, as the square of `input_size` that the model sees, before it is normalised."""
    if view == "mirrored":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    preprocessing = preprocessing.of_view(view)
    if preprocessing.resize == "squash":
        image = _resized(image, (preprocessing.resized_side, preprocessing.resized_side), preprocessing)
    else:
        image = _shortest(image, preprocessing)
    return _middle_square(image, preprocessing.input_size)


def within_aspect(image: Image.Image) -> Image.Image:
    """The picture; of a very long one the middle, which is all that the crop of a square could touch."""
    shorter, longer = sorted(image.size)
    if longer <= _LONGEST_ASPECT * shorter:
        return image
    # Evenly many pixels go from both ends, so that the middle stays where it was.
    spare = (longer - _LONGEST_ASPECT * shorter) // 2
    if image.width > image.height:
        return image.crop((spare, 0, image.width - spare, image.height))
    return image.crop((0, spare, image.width, image.height - spare))


def _shortest(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """The shorter side at `resized_side`; rounded as torchvision rounds."""
    image = within_aspect(image)
    side = preprocessing.resized_side
    shorter, longer = sorted(image.size)
    unfolded = int(side * longer / shorter)
    size = (side, unfolded) if image.width <= image.height else (unfolded, side)
    return _resized(image, size, preprocessing)


def _middle_square(image: Image.Image, side: int) -> Image.Image:
    """The middle, rounded as torchvision rounds."""
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    return image.crop((left, top, left + side, top + side))


def _resized(image: Image.Image, size: tuple[int, int], preprocessing: Preprocessing) -> Image.Image:
    return image if image.size == size else image.resize(size, INTERPOLATIONS[preprocessing.interpolation])
