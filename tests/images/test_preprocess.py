"""Pixels become the tensor that torchvision, timm and open_clip would make of them."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.errors import ModelError
from unprompt.images.decode import Picture, decode
from unprompt.images.preprocess import PUBLISHED_VIT, Preprocessing, preprocess
from unprompt.images.sources import image_refs
from unprompt.models.networks.torchvision_cure import cure_torchvision

CONFIG: dict[str, Any] = {
    "input_size": 32,
    "resize": "shortest",
    "interpolation": "bicubic",
    "crop": "center",
    "mean": [0.48, 0.45, 0.40],
    "std": [0.26, 0.27, 0.28],
}
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
CROPS = [0.25, 0.875, 0.9, 0.95]
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


@pytest.fixture
def real_pictures(examples: Path) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """The pictures that the project ships, as they are decoded."""
    return list(_decoded(examples))


def _decoded(folder: Path, shorter_side: int | None = None) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    for ref in image_refs([str(folder)]):
        picture = decode(ref, shorter_side=shorter_side, read_metadata=False)
        assert isinstance(picture, Picture), picture
        yield picture.pixels


def largest_difference(
    pictures: list[np.ndarray[Any, Any]], rules: Preprocessing, theirs: Callable[[Image.Image], Any]
) -> float:
    assert len(pictures) >= 4
    return max(
        float(np.abs(preprocess(pixels, rules) - theirs(Image.fromarray(pixels)).numpy()).max()) for pixels in pictures
    )


@pytest.mark.torch
@pytest.mark.parametrize("crop_share", CROPS)
@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_equals_timm(
    real_pictures: list[np.ndarray[Any, Any]], crop_share: float, resize: str, interpolation: str
) -> None:
    pytest.importorskip("torch")
    cure_torchvision()
    timm_data = pytest.importorskip("timm.data")
    rules = Preprocessing.from_config(
        CONFIG | {"input_size": 96, "resize": resize, "interpolation": interpolation, "crop_share": crop_share}
    )
    theirs = timm_data.create_transform(
        input_size=(3, 96, 96),
        interpolation=interpolation,
        crop_pct=crop_share,
        crop_mode="center" if resize == "shortest" else "squash",
        mean=CONFIG["mean"],
        std=CONFIG["std"],
    )
    assert largest_difference(real_pictures, rules, theirs) < 1e-6


@pytest.mark.torch
@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_equals_open_clip(real_pictures: list[np.ndarray[Any, Any]], resize: str, interpolation: str) -> None:
    pytest.importorskip("torch")
    cure_torchvision()
    open_clip_transform = pytest.importorskip("open_clip.transform")
    rules = Preprocessing.from_config(CONFIG | {"input_size": 96, "resize": resize, "interpolation": interpolation})
    theirs = open_clip_transform.image_transform(
        96,
        is_train=False,
        mean=tuple(CONFIG["mean"]),
        std=tuple(CONFIG["std"]),
        resize_mode=resize,
        interpolation=interpolation,
    )
    assert largest_difference(real_pictures, rules, theirs) < 1e-6


def published_transform() -> Callable[[Image.Image], Any]:
    """What the notebook of the published ensemble shows its ViT."""
    pytest.importorskip("torch")
    cure_torchvision()
    transforms = pytest.importorskip("torchvision.transforms")
    composed: Callable[[Image.Image], Any] = transforms.Compose(
        [
            transforms.Resize(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return composed


@pytest.mark.torch
def test_the_published_transform_on_the_competitions_pictures(shared: Path) -> None:
    theirs, names = published_transform(), sorted((shared / "data" / "kaggle" / "images").iterdir())
    assert len(names) == 7
    expected = [theirs(Image.open(name).convert("RGB")).numpy() for name in names]
    whole, reduced = (
        [preprocess(pixels, PUBLISHED_VIT) for name in names for pixels in _decoded(name, shorter_side)]
        for shorter_side in (None, PUBLISHED_VIT.resized_side)
    )
    assert np.abs(np.array(whole) - expected).max() == 0
    # Halved while they are decoded they are nearly the same, which is not enough for weights that saw the others.
    assert 0.5 < np.abs(np.array(reduced) - expected).max() < 0.8
    assert np.abs(np.array(reduced) - expected).mean() < 0.04


@pytest.mark.torch
def test_the_published_transform_on_other_pictures_less_what_is_cropped(
    real_pictures: list[np.ndarray[Any, Any]],
) -> None:
    theirs = published_transform()

    def middle(image: Image.Image) -> Any:
        tensor = theirs(image)  # (3, height, width), of which the shorter is 224
        top, left = (round((side - 224) / 2) for side in tensor.shape[1:])
        return tensor[:, top : top + 224, left : left + 224]

    assert any(pixels.shape[0] != pixels.shape[1] for pixels in real_pictures)
    assert largest_difference(real_pictures, PUBLISHED_VIT, middle) < 1e-6


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
    cropped = CONFIG | {"crop_share": 0.9}
    assert Preprocessing.from_config(cropped).to_config() == cropped
    assert Preprocessing.from_config(CONFIG | {"crop_share": 1}).to_config() == CONFIG


def test_a_crop_share_says_how_far_pictures_are_reduced() -> None:
    assert Preprocessing.from_config(CONFIG).resized_side == 32
    assert Preprocessing.from_config(CONFIG | {"crop_share": 0.875}).resized_side == 36
    assert Preprocessing.from_config(CONFIG | {"crop_share": 0.9}).resized_side == 35  # timm rounds down


@pytest.mark.parametrize("key", CONFIG)
def test_missing_key_is_named(key: str) -> None:
    with pytest.raises(ModelError, match=f"the model's preprocessing lacks '{key}'"):
        Preprocessing.from_config({name: value for name, value in CONFIG.items() if name != key})


def test_unknown_key_is_named() -> None:
    with pytest.raises(ModelError, match=r"unknown key in .*'crop_pct'; did you mean 'crop'"):
        Preprocessing.from_config(CONFIG | {"crop_pct": 0.9})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_size", 0),
        ("input_size", 224.0),
        ("input_size", True),
        ("input_size", 4097),
        ("resize", "longest"),
        ("resize", ["squash"]),
        ("interpolation", "nearest"),
        ("crop", None),
        ("mean", [0.5, 0.5]),
        ("mean", "0.5"),
        ("mean", [0.5, 0.5, math.nan]),
        ("std", [0.5, 0.5, 0]),
        ("std", ["1", "1", "1"]),
        ("crop_share", 0),
        ("crop_share", 1.01),
        ("crop_share", 0.01),
        ("crop_share", "0.9"),
        ("crop_share", True),
        ("crop_share", math.nan),
    ],
)
def test_useless_value_is_named(key: str, value: Any) -> None:
    with pytest.raises(ModelError, match=f"expected {key} to be .*, found|unknown {key} in .*; (did you mean|known)"):
        Preprocessing.from_config(CONFIG | {key: value})
