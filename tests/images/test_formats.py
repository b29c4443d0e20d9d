"""What the first bytes say."""

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from unprompt.errors import PictureError
from unprompt.images.formats import HEAD_SIZE, format_of

PLUGINS = {
    "PNG": PngImagePlugin, "JPEG": JpegImagePlugin, "WEBP": WebPImagePlugin, "GIF": GifImagePlugin,
    "BMP": BmpImagePlugin, "TIFF": TiffImagePlugin, "AVIF": AvifImagePlugin,
}  # fmt: skip


def found(head: bytes) -> str | None:
    try:
        return format_of(head)
    except PictureError:
        return None


def found_by_pillow(head: bytes) -> str | None:
    return next((name for name, plugin in PLUGINS.items() if plugin._accept(head[:HEAD_SIZE])), None)


@pytest.mark.parametrize("name", PLUGINS)
def test_format_of_real_files(name: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, name)
    assert format_of(file.getvalue()) == format_of(file.getvalue()[:HEAD_SIZE]) == name


PIECES = [
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd8", b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"VP9 ", b"GIF87a",
    b"GIF89a", b"GIF88a", b"BM", b"MM\0*", b"II*\0", b"MM*\0", b"II\0*", b"MM\0+", b"II+\0", b"II\0+", b"ftyp",
    b"avif", b"avis", b"mif1", b"msf1", b"heic", b"\0\0\0\x1c", b"",
]  # fmt: skip


def test_the_same_is_accepted_as_by_pillow() -> None:
    for pieces in itertools.product(PIECES, repeat=3):
        head = b"".join(pieces).ljust(HEAD_SIZE, b"x")
        assert found(head) == found_by_pillow(head), head
    for mode in (b"VP8 ", b"VP8L", b"VP8X", b"VP9 "):
        head = b"RIFF\x10\0\0\0WEBP" + mode
        assert found(head) == found_by_pillow(head)


@given(st.binary(max_size=20))
def test_any_bytes_get_the_answer_of_pillow(head: bytes) -> None:
    assert found(head) == found_by_pillow(head)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found an empty file; convert"),
        (b"a cat on a mat", "found data that begins with b'a cat on a m'; convert it to one of these"),
        (b'{"source": "a.png"}', "a list of pictures is given as @FILE"),
        (b"file_name,text\r\n", "a list of pictures is given as @FILE"),
        (b"PK\x03\x04", "make it a .tar"),
    ],
)
def test_refusal_says_what_was_found_and_what_to_do(data: bytes, message: str) -> None:
    with pytest.raises(PictureError, match="expected PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF") as caught:
        format_of(data)
    assert caught.value.kind == "not-a-picture"
    assert message in str(caught.value)
