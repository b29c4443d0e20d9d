"""JPEG XL: its header is read here, its pixels by the package of the extra [formats]."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from pillow_jxl import Encoder

from unprompt.errors import PictureError
from unprompt.images.decode import Picture, decode
from unprompt.images.files import Bytes
from unprompt.images.jpeg_xl import Header, read_header
from unprompt.images.metadata.stripping.jxl import codestream
from unprompt.images.ref import ImageRef
from unprompt.prediction import Failure

# Made by cjxl 0.7 -d 0 from a red PNG of 6 x 4 with one blue pixel at its upper left: once with the orientation 6, once
# with a green frame after it.
LYING = bytes.fromhex(
    "0000000c4a584c200d0a870a00000014667479706a786c20000000006a786c20000000306a786c63ff0a18400b0414970408020100"
    "64004b188b15c211aa1703ef2f100280fc6f5be833eac5c0000000"
)
ANIMATED = bytes.fromhex(
    "ff0a1840c100028a4b0208029209000064004b188b15c211aa1703ef2f100280fc6f5be833eac5c0000000080292050044004b188b15"
    "c249415e200200fdf703000000"
)
RED, GREEN, BLUE, WHITE = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]


def jxl(image: Image.Image, exif: bytes | None = None) -> bytes:
    """The picture as JPEG XL, without loss."""
    encoder = Encoder(mode=image.mode, lossless=True, use_container=exif is not None, num_threads=0)
    data: bytes = encoder(
        image.tobytes(), image.width, image.height, jpeg_encode=False, exif=exif, jumb=None, xmp=None, compress=False
    )
    return data


def result(data: bytes, **options: Any) -> Picture | Failure:
    found = decode(ImageRef("it", Bytes(data)), read_metadata=False, **options)
    assert found is None or isinstance(found, (Picture, Failure))
    return found


def picture(data: bytes, **options: Any) -> Picture:
    found = result(data, **options)
    assert isinstance(found, Picture), found
    return found


def gradient(mode: str, size: tuple[int, int] = (40, 30)) -> Image.Image:
    grey = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (grey, grey.rotate(180), Image.new("L", size, 77))).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_pixel_is_kept(mode: str) -> None:
    image = gradient(mode)
    found = picture(jxl(image))
    assert (found.format, found.size) == ("JXL", (40, 30))
    assert np.array_equal(found.pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_lies_on_white(mode: str) -> None:
    image = gradient(mode)
    image.putalpha(Image.new("L", image.size, 0))
    assert picture(jxl(image)).pixels[3, 3].tolist() == WHITE


def test_sixteen_bits_are_scaled() -> None:
    image = Image.fromarray(np.full((4, 6), 0x8000, np.uint16))
    assert picture(jxl(image)).pixels[0, 0].tolist() == [128, 128, 128]


def test_floats_are_scaled() -> None:
    image = Image.fromarray(np.full((4, 6), 0.5, np.float32))
    assert picture(jxl(image)).pixels[0, 0].tolist() == [128, 128, 128]


def test_the_codestream_says_which_way_is_up() -> None:
    found = picture(LYING)
    assert found.size == (4, 6)
    assert found.pixels[0].tolist() == [RED, RED, RED, BLUE]


def test_exif_does_not_turn_it_again() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert picture(jxl(gradient("RGB"), b"\0\0\0\0" + exif.tobytes()[6:])).size == (40, 30)


def test_an_animation_gives_its_last_frame() -> None:
    assert picture(ANIMATED).pixels[0, 0].tolist() == GREEN


def test_a_large_picture_is_reduced() -> None:
    found = picture(jxl(gradient("RGB", (64, 48))), shorter_side=12)
    assert (found.size, found.pixels.shape) == ((64, 48), (12, 16, 3))


def test_limits_hold_before_it_is_decoded() -> None:
    data = jxl(gradient("RGBA", (100, 100)))
    for damaged in (data, data[:20]):  # what is cut off is never missed
        few = result(damaged, pixel_limit_mp=0.009)
        small = result(damaged, memory_limit_mb=0.3)
        assert isinstance(few, Failure)
        assert isinstance(small, Failure)
        assert (few.kind, small.kind) == ("too-large", "too-large")


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (256, 256), (257, 255), (120, 100), (1, 9000), (160, 90)])
def test_the_header_says_the_size(size: tuple[int, int]) -> None:
    assert read_header(jxl(Image.new("L", size))) == Header(size, 0)
    assert read_header(jxl(Image.new("RGBA", size))) == Header(size, 1)


def test_the_header_of_boxes() -> None:
    assert read_header(codestream(LYING)) == Header((4, 6), 0)
    assert read_header(codestream(ANIMATED)) == Header((6, 4), 0)


def bits(*fields: tuple[int, int]) -> bytes:
    """A codestream that begins with these numbers, each of so many bits."""
    total = place = 0
    for value, width in fields:
        total |= value << place
        place += width
    return b"\xff\x0a" + total.to_bytes(40, "little")


SIZE_OF_3_BY_5 = ((0, 1), (0, 2), (4, 9), (0, 3), (0, 2), (2, 9))


def test_the_header_with_all_that_it_can_hold() -> None:
    fields = (
        *SIZE_OF_3_BY_5,
        (0, 1), (1, 1), (7, 3),  # not all as usual; extra fields; orientation 8
        (1, 1), *SIZE_OF_3_BY_5,
        (1, 1), (1, 1), (2, 2), (3, 5), (0, 3), (3, 2), (9, 9),  # a preview in eighths
        (1, 1), (2, 2), (9, 10), (3, 2), (9, 10), (1, 2), (7, 3), (1, 1),  # an animation
        (1, 1), (3, 2), (30, 6), (7, 4),  # floats
        (0, 1), (3, 2), (99, 12),
    )  # fmt: skip
    assert read_header(bits(*fields)) == Header((5, 3), 100)


def test_what_is_cut_off_or_damaged_fails() -> None:
    data = jxl(gradient("RGB"))
    for end in (2, 3, 10, len(data) // 2, len(data) - 1):
        found = result(data[:end])
        assert isinstance(found, Failure)
        assert found.kind in ("truncated", "too-large")
    boxes = result(LYING[:60])
    assert isinstance(boxes, Failure)
    assert boxes.kind == "truncated"
    with pytest.raises(PictureError):
        codestream(LYING[:60])
