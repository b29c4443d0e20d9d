"""What happens to a training picture, and to two of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from unprompt.images.preprocess import PUBLISHED_VIT, fit_square
from unprompt.training.augmentation import augment, overlay
from unprompt.training.recipe import Augmentation

SMALL = replace(PUBLISHED_VIT, input_size=32)
STILL = Augmentation(flip=0.0)


@pytest.fixture
def pixels() -> np.ndarray:
    """A ramp in red from left to right and in green from top to bottom, 60 x 90."""
    red, green = np.meshgrid(np.linspace(0, 255, 90), np.linspace(0, 255, 60))
    return np.stack([red, green, np.full_like(red, 40)], axis=2).astype(np.uint8)


def _augmented(pixels: np.ndarray, options: Augmentation, seed: int = 0) -> np.ndarray:
    made = augment(pixels, SMALL, options, np.random.default_rng(seed))
    assert made.shape == (32, 32, 3)
    assert made.dtype == np.uint8
    return made


def test_nothing_asked_for_is_what_prediction_sees(pixels: np.ndarray) -> None:
    assert np.array_equal(_augmented(pixels, STILL), np.asarray(fit_square(Image.fromarray(pixels), SMALL)))


def test_flips_come_as_often_as_asked(pixels: np.ndarray) -> None:
    straight = _augmented(pixels, STILL)
    flipped = [
        np.array_equal(_augmented(pixels, Augmentation(flip=0.3), seed), straight[:, ::-1]) for seed in range(300)
    ]
    assert np.mean(flipped) == pytest.approx(0.3, abs=0.08)


def test_crops_keep_at_least_the_share_asked_for(pixels: np.ndarray) -> None:
    shares = []
    for seed in range(200):
        made = _augmented(pixels, replace(STILL, crop_scale=0.5), seed).astype(float)
        # The ramps say how much of each side is seen.
        wide, high = (np.ptp(made[..., 0].mean(axis=0)) / 255, np.ptp(made[..., 1].mean(axis=1)) / 255)
        shares.append(wide * high)
    assert min(shares) > 0.35  # what lies within the outermost pixels' middles
    assert max(shares) - min(shares) > 0.2


def test_colours_change_and_places_stay(pixels: np.ndarray) -> None:
    made = _augmented(pixels, replace(STILL, colour=0.3))
    straight = _augmented(pixels, STILL)
    assert np.abs(made.astype(int) - straight).max() > 5
    assert np.corrcoef(made[..., 0].ravel(), straight[..., 0].ravel())[0, 1] > 0.9


def test_an_erased_rectangle_is_grey(pixels: np.ndarray) -> None:
    straight = _augmented(pixels, STILL)
    changed = [(_augmented(pixels, replace(STILL, erase=1.0), seed) != straight).any(axis=2) for seed in range(50)]
    areas = [mask.mean() for mask in changed]
    assert 0.01 < min(areas) < 0.06
    assert 0.12 < max(areas) <= 0.25
    for mask in changed:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.95


def test_overlay_is_the_mean() -> None:
    one, other = np.full((2, 2, 3), 255, np.uint8), np.full((2, 2, 3), 10, np.uint8)
    assert overlay(one, other).tolist() == np.full((2, 2, 3), 133).tolist()
