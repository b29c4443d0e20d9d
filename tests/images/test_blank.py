"""Pictures of nothing."""

import numpy as np
import pytest

from unprompt.evaluation.calibration import blank_pictures
from unprompt.images.blank import described, is_blank
from unprompt.images.ref import Pixels

GENERATOR = np.random.default_rng(0)


def noise(height: int, width: int) -> Pixels:
    return GENERATOR.integers(0, 256, (height, width, 3), np.uint8)


def grey(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), 128, np.uint8)


def circle(side: int) -> Pixels:
    """A dark disc on white, an eighth of the side across."""
    rows, columns = np.mgrid[:side, :side] - side / 2
    pixels = np.full((side, side, 3), 255, np.uint8)
    pixels[rows**2 + columns**2 < (side / 16) ** 2] = 20
    return pixels


def gradient(side: int) -> Pixels:
    return np.broadcast_to(np.linspace(0, 255, side).astype(np.uint8)[None, :, None], (side, side, 3)).copy()


@pytest.mark.parametrize(
    "pixels",
    [
        *blank_pictures(),
        *(noise(*size) for size in [(64, 64), (256, 1000), (1024, 768)]),
        *(grey(*size) for size in [(1, 1), (3, 500), (0, 0), (700, 900)]),
        np.clip(noise(300, 300) // 40 + 100, 0, 255).astype(np.uint8),
    ],
)
def test_one_colour_and_noise_are_nothing(pixels: Pixels) -> None:
    assert is_blank(pixels)


@pytest.mark.parametrize("pixels", [circle(256), circle(1024), gradient(256), gradient(9), gradient(5)])
def test_whatever_has_a_shape_is_something(pixels: Pixels) -> None:
    assert not is_blank(pixels)


@pytest.mark.parametrize(
    ("pixels", "text"),
    [
        (grey(40, 60), "a plain grey background"),
        (np.full((9, 9, 3), (38, 84, 215), np.uint8), "a plain blue background"),
        (noise(64, 64), "grey noise"),
    ],
)
def test_nothing_in_words(pixels: Pixels, text: str) -> None:
    assert described(pixels) == text
