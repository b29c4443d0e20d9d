"""Arrays and tensors as pictures: shapes, stacks, and what their numbers mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from unprompt.images.decode import Picture, decode
from unprompt.images.ref import ImageRef
from unprompt.images.sources import count, image_refs
from unprompt.prediction import Failure

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def seen(item: Any) -> list[npt.NDArray[np.uint8]]:
    found = [decode(ref) for ref in image_refs(item)]
    assert all(isinstance(each, Picture) for each in found), found
    return [each.pixels for each in found if isinstance(each, Picture)]


def refusal(array: Any) -> str:
    (ref,) = image_refs(array)
    found = decode(ref)
    assert isinstance(found, Failure)
    assert found.kind == "not-a-picture"
    return found.message


@pytest.mark.parametrize(
    "array",
    [
        RGB.astype(">u2") * 257,
        RGB.astype(np.int64),
        RGB.astype(np.float64),
        (RGB / 255).astype(np.float32),
        (RGB / 255).astype(">f8"),
        np.dstack([RGB, np.full((6, 9), 255, np.uint8)]),
        np.asfortranarray(RGB),
        RGB[None],
    ],
)
def test_the_same_picture_in_other_numbers(array: npt.NDArray[Any]) -> None:
    (pixels,) = seen(array)
    np.testing.assert_array_equal(pixels, RGB)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.uint16])
def test_grey(dtype: Any) -> None:
    grey = RGB[:, :, 0]
    scaled = (grey.astype(float) * {np.uint8: 1, np.float32: 1 / 255, np.uint16: 257}[dtype]).astype(dtype)
    for array in (scaled, scaled[:, :, None]):
        (pixels,) = seen(array)
        np.testing.assert_array_equal(pixels, np.repeat(grey[:, :, None], 3, axis=2))


def test_booleans_are_black_and_white() -> None:
    (pixels,) = seen(RGB > 128)
    np.testing.assert_array_equal(pixels, np.where(RGB > 128, 255, 0))


def test_what_lies_a_little_outside_is_clipped() -> None:
    (pixels,) = seen(np.array([[-0.04, 0.0, 1.0, 1.04]], np.float32))
    assert pixels[0, :, 0].tolist() == [0, 0, 255, 255]


def test_transparency_is_white() -> None:
    for array in (np.full((2, 2, 4), [9, 9, 9, 0], np.uint8), np.full((2, 2, 2), [9, 0], np.uint8)):
        (pixels,) = seen(array)
        assert (pixels == 255).all()


def test_a_stack_is_several_pictures() -> None:
    stack = np.stack([RGB, RGB[::-1], RGB[:, ::-1]])
    np.testing.assert_array_equal(np.stack(seen(stack)), stack)
    assert [ref.source for ref in image_refs([RGB, stack])] == [
        "<array 0>", "<array 1[0]>", "<array 1[1]>", "<array 1[2]>"
    ]  # fmt: skip
    assert count([RGB, stack, "a.png"]) == 5


@pytest.mark.parametrize("shape", [(9,), (2, 3, 5), (3, 8, 8), (5, 2, 2, 3, 3)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    assert f"found {shape}" in refusal(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.array([[[-2.1, 0.0, 2.6]]], np.float32), "float32 from -2.1 to 2.6"),
        (np.array([[-1.0, 1.0]]), "float64 from -1 to 1"),
        (np.array([[0.0, 7.0]]), "float64 from 0 to 7"),
        (np.array([[0, 256]]), "int64 from 0 to 256"),
        (np.array([[0.5, np.nan]]), "float64 from nan to nan"),
        (np.array([[0.5, np.inf]]), "float64 from 0.5 to inf"),
        (np.array([[1j]]), "complex128"),
    ],
)
def test_numbers_that_may_mean_anything_are_refused(array: npt.NDArray[Any], found: str) -> None:
    assert f"found {found}; undo a normalisation" in refusal(array)


def test_a_large_picture_is_converted_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unprompt.images.arrays._STRIP_NUMBERS", 60)  # two rows
    (pixels,) = seen(RGB / 255)
    np.testing.assert_array_equal(pixels, RGB)


def test_an_array_of_paths_is_many_paths() -> None:
    for paths in (np.array(["a.png", "b.png"]), np.array(["a.png", "b.png"], object)):
        assert [ref.source for ref in image_refs(paths)] == ["a.png", "b.png"]


@pytest.mark.torch
def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(RGB.copy())
    first = tensor.permute(2, 0, 1)
    ones = (first.float() / 255).requires_grad_()
    for item in (tensor, first, ones, ones.double(), first[None], tensor[None], [first]):
        (pixels,) = seen(item)
        np.testing.assert_array_equal(pixels, RGB)
    np.testing.assert_array_equal(seen(first[0])[0][:, :, 0], RGB[:, :, 0])
    assert np.abs(seen(ones.bfloat16())[0].astype(int) - RGB).max() <= 1  # 8 bits of precision
    assert [ref.source for ref in image_refs([first, torch.stack([first, first])])] == [
        "<tensor 0>", "<tensor 1[0]>", "<tensor 1[1]>"
    ]  # fmt: skip
    assert "float32 from -2 to 2.5" in refusal(torch.linspace(-2, 2.5, 12).reshape(3, 2, 2))


@pytest.mark.torch
def test_a_tensor_without_numbers_is_no_input() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="found one that cannot be read"):
        list(image_refs(torch.empty(3, 8, 8, device="meta")))


def test_the_reference_holds_the_array_as_it_was_given() -> None:
    (ref,) = image_refs(RGB)
    assert isinstance(ref, ImageRef)
    assert ref.content is RGB
