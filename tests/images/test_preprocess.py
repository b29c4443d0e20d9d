"""Pixels become the tensor that torchvision and timm would make of them."""

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.errors import ModelError
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.models.torchvision_cure import cure_torchvision

CONFIG: dict[str, Any] = {
    "input_size": 32,
    "resize": "shortest",
    "interpolation": "bicubic",
    "crop": "center",
    "mean": [0.48, 0.45, 0.40],
    "std": [0.26, 0.27, 0.28],
}
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
SIZES = [(1, 1), (32, 32), (33, 32), (50, 37), (37, 50), (100, 20), (7, 200), (640, 427), (31, 33), (1, 60), (300, 5)]


def noise(width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def reference(pixels: np.ndarray[Any, Any], rules: Preprocessing) -> np.ndarray[Any, Any]:
    """torchvision's Resize(int), CenterCrop, ToTensor, Normalize, written out; in double precision."""
    image, side = Image.fromarray(pixels), rules.input_size
    width, height = image.size
    if rules.resize == "squash":
        width = height = side
    elif width <= height:
        width, height = side, int(side * height / width)
    else:
        width, height = int(side * width / height), side
    image = image.resize((width, height), FILTERS[rules.interpolation])
    top, left = int(round((height - side) / 2.0)), int(round((width - side) / 2.0))  # noqa: RUF046
    cropped = np.asarray(image, dtype=np.float64)[top : top + side, left : left + side]
    return ((cropped / 255 - np.array(rules.mean)) / np.array(rules.std)).transpose(2, 0, 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_equals_the_reference(size: tuple[int, int], resize: str, interpolation: str) -> None:
    rules = Preprocessing.from_config(CONFIG | {"resize": resize, "interpolation": interpolation})
    pixels = noise(*size)
    tensor = preprocess(pixels, rules)
    assert (tensor.shape, tensor.dtype, tensor.flags.c_contiguous) == ((3, 32, 32), np.float32, True)
    np.testing.assert_allclose(tensor, reference(pixels, rules), atol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("size", SIZES)
def test_equals_torchvision(size: tuple[int, int]) -> None:
    pytest.importorskip("torch")
    cure_torchvision()
    transforms = pytest.importorskip("torchvision.transforms")
    bicubic = transforms.InterpolationMode.BICUBIC
    theirs = transforms.Compose(
        [
            transforms.Resize(32, interpolation=bicubic),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize(CONFIG["mean"], CONFIG["std"]),
        ]
    )
    pixels = noise(*size)
    ours = preprocess(pixels, Preprocessing.from_config(CONFIG))
    np.testing.assert_allclose(ours, theirs(Image.fromarray(pixels)).numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [(40_000, 2), (1, 65_000), (3, 1001)])
def test_a_very_long_picture_costs_little_and_keeps_its_middle(size: tuple[int, int]) -> None:
    width, height = size
    longest = max(size)
    ramp = np.abs(np.arange(longest) - (longest - 1) / 2).clip(0, 255).astype(np.uint8)  # dark in the middle alone
    line = ramp[None, :] if width > height else ramp[:, None]
    pixels = np.broadcast_to(line[..., None], (height, width, 3)).copy()
    rules = Preprocessing.from_config(CONFIG | {"mean": [0, 0, 0], "std": [1, 1, 1]})
    tensor = preprocess(pixels, rules)
    assert tensor.shape == (3, 32, 32)
    assert tensor.max() * 255 < min(size) / 2 + 2
    np.testing.assert_allclose(tensor, tensor[:, ::-1, ::-1], atol=1.5 / 255)


def test_pixels_are_left_as_they_are() -> None:
    pixels = noise(32, 32)
    before = pixels.copy()
    preprocess(pixels, Preprocessing.from_config(CONFIG))
    np.testing.assert_array_equal(pixels, before)


def test_exact_values_without_resizing() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 1] = (255, 51, 0)
    tensor = preprocess(pixels, Preprocessing(2, "shortest", "bicubic", "center", (0.5, 0.2, 0.0), (0.5, 0.1, 1.0)))
    np.testing.assert_allclose(tensor[:, 0, 1], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(tensor[:, 1, 0], [-1, -2, 0], atol=1e-6)


def test_config_survives_the_round() -> None:
    assert Preprocessing.from_config(CONFIG).to_config() == CONFIG


@pytest.mark.parametrize("key", CONFIG)
def test_missing_key_is_named(key: str) -> None:
    with pytest.raises(ModelError, match=f"lacks {key}; expected"):
        Preprocessing.from_config({name: value for name, value in CONFIG.items() if name != key})


def test_unknown_key_is_named() -> None:
    with pytest.raises(ModelError, match="unknown crop_pct; expected crop, crop_share, input_size"):
        Preprocessing.from_config(CONFIG | {"crop_pct": 0.9})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_size", 0),
        ("input_size", 224.0),
        ("input_size", True),
        ("resize", "longest"),
        ("resize", ["squash"]),
        ("interpolation", "nearest"),
        ("crop", None),
        ("mean", [0.5, 0.5]),
        ("mean", "0.5"),
        ("mean", [0.5, 0.5, math.nan]),
        ("std", [0.5, 0.5, 0]),
        ("std", ["1", "1", "1"]),
    ],
)
def test_useless_value_is_named(key: str, value: Any) -> None:
    with pytest.raises(ModelError, match=f"has {key} = .*; expected"):
        Preprocessing.from_config(CONFIG | {key: value})
