"""Texts hidden in the pixels: what is too large is left before it is decoded. The limits are low, the files small."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from layouts import chunk_riff, lossless_webp, png, stealth
from PIL import Image, ImageFile

from unprompt.images.metadata.reader import find
from unprompt.images.metadata.stealth import PNG_PIXEL_LIMIT, WEBP_PIXEL_LIMIT, reveal

FOX = {"parameters": "a fox\nSteps: 2"}


def png_of(width: int, height: int) -> bytes:
    return png(pixels=stealth("a fox\nSteps: 2", width=width, height=height))


def webp_of(width: int, height: int) -> bytes:
    return lossless_webp(stealth("a fox\nSteps: 2", width=width, height=height))


@pytest.mark.parametrize(("make", "name"), [(png_of, "png_pixel_limit"), (webp_of, "webp_pixel_limit")])
@pytest.mark.parametrize("size", [(40, 50), (8, 250), (250, 8)])
def test_a_picture_up_to_the_limit_is_searched_and_a_larger_one_left_undecoded(
    make: Callable[[int, int], bytes], name: str, size: tuple[int, int], loaded: list[str]
) -> None:
    data = make(*size)
    assert reveal(data, **{name: 1_999}) is None
    assert loaded == []
    found = reveal(data, **{name: 2_000})
    assert found is not None
    assert found.text == FOX
    assert loaded


def test_the_limits_as_they_are() -> None:
    assert (PNG_PIXEL_LIMIT, WEBP_PIXEL_LIMIT) == (4096 * 4096, 2048 * 2048)


def test_a_png_whose_first_column_begins_like_no_magic_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    heights = set()
    load = ImageFile.ImageFile.load

    def noted(image: ImageFile.ImageFile) -> Any:
        heights.add(image.height)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    assert reveal(png(pixels=np.full((400, 64, 4), 255, np.uint8))) is None
    assert heights == set()
    assert reveal(png_of(64, 400)) is not None
    assert heights == {400}


def test_a_webp_whose_first_chunk_promises_much_is_left_alone(loaded: list[str]) -> None:
    head = chunk_riff(b"VP8X", bytes([0x10, 0, 0, 0]) + (99).to_bytes(3, "little") * 2)  # 100 x 100
    data = b"RIFF\x00\x01\x00\x00WEBP" + head + webp_of(16, 32)[12:]
    assert reveal(data, webp_pixel_limit=9_999) is None
    assert loaded == []


def test_a_webp_whose_first_chunk_is_shorter_than_what_is_read_from_it(loaded: list[str]) -> None:
    # Pillow takes the sides, 100 x 100 here, from behind the chunk.
    data = b"RIFF\x16\0\0\0WEBPVP8X\x01\0\0\0\x10\0\0\0" + (99).to_bytes(3, "little") * 2
    assert find(data) is None
    assert loaded == []


def test_what_pillow_itself_refuses_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = webp_of(16, 32)
    assert find(data) is not None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # it raises from twice as many on, and no OSError
    assert find(data) is None
