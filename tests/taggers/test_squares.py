"""What taggers see of a picture, beside the publishers' own code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from unprompt.taggers.families import FAMILIES
from unprompt.taggers.squares import LONGEST_PADDED, square_input

# By dghs-imgutils 0.19.0 with Pillow 13.0.0, to which ours are equal to the bit: `_prepare_image_for_tagging` for wd,
# `create_pillow_transforms` for the others, with the stages of their exports (resize 448 bilinear, to_tensor, normalize
# 0.5; pad_to_size 512 lanczos black, to_tensor). The mean of each channel, and some pixels by (row, column), 0 to 255.
REFERENCE = {
    ("wd", "chelsea"): (
        (143.0904, 159.4561, 183.6182),
        {(70, 0): (255, 255, 255), (74, 10): (180, 189, 200), (200, 333): (55, 104, 138), (373, 447): (255, 255, 255)},
    ),
    ("wd", "rocket"): (
        (139.6067, 125.5377, 119.5349),
        {(73, 5): (255, 255, 255), (74, 0): (128, 112, 101), (224, 224): (115, 133, 140), (300, 100): (135, 107, 90)},
    ),
    ("pixai", "chelsea"): (
        (0.158678, -0.126116, -0.319026),
        {(70, 0): (190, 171, 172), (74, 10): (183, 162, 159), (200, 333): (154, 123, 76), (373, 447): (191, 167, 163)},
    ),
    ("pixai", "rocket"): (
        (-0.589865, -0.519349, -0.354146),
        {(73, 5): (29, 44, 75), (74, 0): (29, 44, 75), (224, 224): (138, 130, 113), (300, 100): (77, 97, 134)},
    ),
    ("camie", "rocket"): (
        (0.136931, 0.16048, 0.215653),
        {(84, 3): (0, 0, 0), (85, 0): (17, 33, 58), (256, 256): (141, 134, 116), (300, 100): (69, 92, 133)},
    ),
}


def pixels_of(examples: Path, name: str) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(examples / f"{name}.jpg").convert("RGB"))


@pytest.mark.parametrize(("family", "name"), REFERENCE)
def test_real_pictures_are_seen_as_by_the_reference(family: str, name: str, examples: Path) -> None:
    square = FAMILIES[family].square
    means, places = REFERENCE[family, name]
    found = square_input(pixels_of(examples, name), square, square.side)
    assert found.dtype == np.float32
    (values,) = found if square.raw else found.transpose(0, 2, 3, 1)  # (side, side, 3)
    assert values.astype(np.float64).mean((0, 1)) == pytest.approx(means, abs=0.01 if square.raw else 1e-4)
    levels = values if square.raw else (values * np.array(square.std) + np.array(square.mean)) * 255
    for place, expected in places.items():
        assert levels[place] == pytest.approx(expected, abs=1)  # another Pillow may round another way


@pytest.mark.torch
@pytest.mark.parametrize("family", ["pixai", "joytag"])
def test_numbers_are_those_of_torchvision(family: str, examples: Path) -> None:
    """Both publish torchvision's own functions as their preprocessing; JoyTag pads with Pillow before."""
    pytest.importorskip("torch")
    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    from torchvision import transforms

    square = FAMILIES[family].square
    image = Image.open(examples / "coffee.jpg").convert("RGB")
    given = image
    if family == "joytag":
        given = Image.new("RGB", (max(image.size),) * 2, "white")
        given.paste(image, ((given.width - image.width) // 2, (given.height - image.height) // 2))
    order = [
        transforms.Resize((448, 448), square.resampling),
        transforms.ToTensor(),
        transforms.Normalize(square.mean, square.std),
    ]
    expected = transforms.Compose(order)(given).numpy()[None]
    assert np.array_equal(square_input(np.asarray(image), square, 448), expected)


def test_camie_rounds_a_side_down() -> None:
    """As its own code does, where 340.6 rows of the picture would fill the square."""
    white = np.full((300, 451, 3), 255, np.uint8)
    square = FAMILIES["camie"].square
    rows = square_input(white, square, 512)[0].max((0, 2))  # (512,)
    assert int((rows > 0).sum()) == 340
    assert np.flatnonzero(rows > 0)[0] == 86


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 3 * LONGEST_PADDED), (3 * LONGEST_PADDED, 2), (17, 18)])
def test_every_shape_gives_a_square(family: str, shape: tuple[int, int]) -> None:
    square = FAMILIES[family].square
    found = square_input(np.zeros((*shape, 3), np.uint8), square, 64)
    assert found.shape == ((1, 64, 64, 3) if square.raw else (1, 3, 64, 64))
    assert np.isfinite(found).all()
