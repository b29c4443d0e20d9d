"""HEIC, decoded by the package of the extra [formats]."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from unprompt.images.decode import Picture, decode
from unprompt.images.files import Bytes
from unprompt.images.metadata.stripping import strip
from unprompt.images.ref import ImageRef
from unprompt.prediction import Failure

WORDS = "a fuzzy bunny on a meadow"


def heic(image: Image.Image, *others: Image.Image, orientation: int = 1) -> bytes:
    """The pictures as HEIC, nearly without loss: the pixels as they are, and how to turn them."""
    pictures = pillow_heif.HeifFile()
    for one in (image, *others):
        pictures.add_from_pillow(one)
    exif = Image.Exif()
    exif[0x010E] = WORDS
    exif[0x0112] = orientation
    file = io.BytesIO()
    pictures.save(file, quality=-1, chroma=444, exif=exif.tobytes(), xmp=f"<x>{WORDS}</x>".encode())
    return file.getvalue()


def scene(mode: str = "RGB", size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A picture in which no turn and no flip is the same."""
    grey = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (grey, grey.transpose(Image.Transpose.ROTATE_180), Image.new("L", size, 77))).convert(
        mode
    )


def result(data: bytes, **options: Any) -> Picture | Failure:
    found = decode(ImageRef("it", Bytes(data)), read_metadata=False, **options)
    assert isinstance(found, (Picture, Failure))
    return found


def picture(data: bytes, **options: Any) -> Picture:
    found = result(data, **options)
    assert isinstance(found, Picture), found
    return found


def close(pixels: Any, image: Image.Image) -> bool:
    return bool(np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"))).max() <= 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_the_pixels(mode: str) -> None:
    found = picture(heic(scene(mode)))
    assert (found.format, found.size) == ("HEIC", (96, 64))
    assert close(found.pixels, scene(mode))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_upright(orientation: int) -> None:
    image = scene()
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(file, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(file))
    found = picture(heic(image, orientation=orientation))
    assert found.size == upright.size
    assert close(found.pixels, upright)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_on_white(mode: str) -> None:
    image = scene(mode)
    image.putalpha(Image.new("L", image.size, 0))
    assert picture(heic(image)).pixels[9, 9].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled() -> None:
    grey = picture(heic(Image.fromarray(np.full((64, 64), 0x8000, np.uint16)))).pixels[0, 0]
    assert abs(int(grey[0]) - 128) <= 1


def test_the_first_of_several_pictures() -> None:
    assert close(picture(heic(scene(), scene().transpose(Image.Transpose.ROTATE_180))).pixels, scene())


def test_a_large_picture_is_reduced() -> None:
    found = picture(heic(scene()), shorter_side=16)
    assert (found.size, found.pixels.shape) == ((96, 64), (16, 24, 3))


def test_limits_hold() -> None:
    for options in ({"pixel_limit_mp": 0.006}, {"memory_limit_mb": 0.05}):
        found = result(heic(scene()), **options)
        assert isinstance(found, Failure)
        assert found.kind == "too-large"


def test_what_is_cut_off_fails() -> None:
    data = heic(scene())
    for end in (30, 100, len(data) // 2, len(data) - 100):
        found = result(data[:end])
        assert isinstance(found, Failure)
        assert found.kind == "truncated"


def test_a_copy_without_texts_shows_the_same() -> None:
    data = heic(scene(), orientation=6)
    copy = strip(data)
    assert data.count(b"bunny") == 2
    assert b"bunny" not in copy
    assert len(copy) == len(data)
    assert np.array_equal(picture(copy).pixels, picture(data).pixels)
    assert "exif" not in {key for key, value in pillow_heif.open_heif(copy).info.items() if value}


def test_a_size_that_the_pixels_do_not_have_is_damage() -> None:
    data = heic(scene(size=(16, 24)))  # so small a picture is coded larger, and cut by the box `clap`
    offset = data.index(b"clap") + 4 + 16
    found = result(data[:offset] + b"\xff\0\0\x80" + data[offset + 4 :])  # far outside
    assert isinstance(found, Failure)
    assert found.kind == "truncated"
    assert "expected a HEIC of 16 x 24 pixels, as its header says, found 64 x 24" in found.message
