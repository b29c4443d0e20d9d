"""Augmentation of training pictures, alone and in pairs."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

from unprompt.images.preprocess import INTERPOLATIONS, Preprocessing, fit_square
from unprompt.images.ref import Pixels
from unprompt.training.recipe import Augmentation

_ASPECT = 1.25
"""Largest aspect ratio of a crop: prompts describe composition too, so shapes change little."""
_ERASED = (0.02, 0.2)
"""Smallest and largest share of the area that erasing covers."""
_GREY = 128


def augment(pixels: Pixels, preprocessing: Preprocessing, options: Augmentation, rng: np.random.Generator) -> Pixels:
    """Augment pixels (height, width, 3) uint8 as the recipe says; returns (input_size, input_size, 3) uint8.

    Sources: Szegedy et al. (2014) for random crops, Zhong et al. (2017) for erasing.
    """
    image = Image.fromarray(pixels)
    if options.crop_scale < 1:
        image = _random_crop(image, preprocessing, options.crop_scale, rng)
    else:
        image = fit_square(image, preprocessing)
    if rng.random() < options.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if options.colour:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhance(image).enhance(1 + options.colour * rng.uniform(-1, 1))
    if rng.random() < options.erase:
        return _erased(np.array(image), rng)
    return np.asarray(image)


def overlay(one: Pixels, other: Pixels) -> Pixels:
    """The mean of two pictures of the same size. Source: Hao et al., "MixGen" (2022)."""
    return ((one.astype(np.uint16) + other + 1) // 2).astype(np.uint8)


def _random_crop(
    image: Image.Image, preprocessing: Preprocessing, least: float, rng: np.random.Generator
) -> Image.Image:
    """A random part of the picture, nearly square, resized to the input size."""
    area = image.width * image.height * rng.uniform(least, 1)
    aspect = np.exp(rng.uniform(-1, 1) * np.log(_ASPECT))
    width = min(image.width, max(1, round(np.sqrt(area * aspect))))
    height = min(image.height, max(1, round(np.sqrt(area / aspect))))
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    size = (preprocessing.input_size, preprocessing.input_size)
    return image.resize(size, INTERPOLATIONS[preprocessing.interpolation], box=(left, top, left + width, top + height))


def _erased(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    share = np.sqrt(rng.uniform(*_ERASED))
    tall, wide = max(1, round(height * share)), max(1, round(width * share))
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    pixels[top : top + tall, left : left + wide] = _GREY
    return pixels
