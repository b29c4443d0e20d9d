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
from unprompt.images.formats import HEAD_SIZE, SUFFIXES, VIDEOS, format_of, is_decodable, refusal

PLUGINS = {
    "PNG": PngImagePlugin, "JPEG": JpegImagePlugin, "WEBP": WebPImagePlugin, "GIF": GifImagePlugin,
    "BMP": BmpImagePlugin, "TIFF": TiffImagePlugin, "AVIF": AvifImagePlugin,
}  # fmt: skip


BEYOND_PILLOW = {*VIDEOS, "HEIC", "JXL"}


def found(head: bytes) -> str | None:
    try:
        return format_of(head)
    except PictureError:
        return None


def found_for_pillow(head: bytes) -> str | None:
    """What Pillow says of AVIF, it says of any picture in these boxes, whichever its codec is."""
    name = found(head)
    if name == "HEIC" and head[8:12] in (b"mif1", b"msf1"):
        return "AVIF"
    return None if name in BEYOND_PILLOW else name


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
        assert found_for_pillow(head) == found_by_pillow(head), head
    for mode in (b"VP8 ", b"VP8L", b"VP8X", b"VP9 "):
        head = b"RIFF\x10\0\0\0WEBP" + mode
        assert found_for_pillow(head) == found_by_pillow(head)


@given(st.binary(max_size=20))
def test_any_bytes_get_the_answer_of_pillow(head: bytes) -> None:
    assert found_for_pillow(head) == found_by_pillow(head)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found an empty file; convert"),
        (b"a cat on a mat", "found data that begins with b'a cat on a m'; convert it to one of these"),
        (b'{"source": "a.png"}', "a list of pictures is given as @FILE"),
        (b"file_name,text\r\n", "a list of pictures is given as @FILE"),
        (b"PK\x03\x04", "make it a .tar"),
        (b"%PDF-1.7", "found a PDF; save its pages as pictures"),
        (b"RIFF\x10\0\0\0AVI LIST", "found an AVI video; save a frame of it as PNG"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "found a raw picture of a camera; convert"),
        (b"\0\0\0\x1cftypM4A \0\0\2\0isommp42", "found a sound file; give the picture itself"),
        (b"<!DOCTYPE html><title>Not found", "found a web page; fetch the picture itself"),
    ],
)
def test_refusal_says_what_was_found_and_what_to_do(data: bytes, message: str) -> None:
    with pytest.raises(PictureError, match="expected PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, HEIC or JPEG XL") as caught:
        format_of(data)
    assert caught.value.kind == "not-a-picture"
    assert message in str(caught.value)


def brands(*names: str, size: int | None = None) -> bytes:
    """The first box of a file with these brands, and something after it."""
    body = b"ftyp" + names[0].encode() + bytes(4) + "".join(names[1:]).encode()
    return (size or len(body) + 4).to_bytes(4, "big") + body + b"\0\0\0\x08avif"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (brands("avif", "mif1", "miaf"), "AVIF"),
        (brands("avis", "msf1", "iso8"), "AVIF"),
        (brands("mif1", "miaf", "avif"), "AVIF"),
        (brands("mif1", "mif1", "heic"), "HEIC"),
        (brands("mif1", "mif1", "iso8", "heic"), "HEIC"),
        (brands("msf1", "hevc"), "HEIC"),
        (brands("heic", "mif1", "MiHE", "MiPr", "miaf", "MiHB", "heic", "tmap"), "HEIC"),
        (brands("heix", "mif1"), "HEIC"),
        (brands("mif1"), "HEIC"),
        (brands("isom", "iso2", "avc1", "mp41"), "MP4"),
        (brands("mp42"), "MP4"),
        (brands("3gp4"), "MP4"),
        (brands("abcd", "isom"), "MP4"),
        (brands("qt  "), "MOV"),
        (brands("isom", size=2**32 - 1), "MP4"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "MOV"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webm", "WEBM"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x88matroska", "MKV"),
        (b"\xff\x0a\0", "JXL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JXL"),
    ],
)
def test_boxes_are_told_apart_by_their_brands(head: bytes, name: str) -> None:
    assert format_of(head) == format_of(head[:HEAD_SIZE]) == name


def test_a_format_that_is_not_decoded_is_named_with_what_to_do() -> None:
    assert set(SUFFIXES.values()) == {*PLUGINS, *BEYOND_PILLOW}
    assert not any(map(is_decodable, VIDEOS))
    for name, found, advice, kind in (
        ("MP4", "an MP4 video", "save a frame of it as PNG", "not-a-picture"),
        ("HEIC", "a HEIC", r"pip install 'unprompt\[formats\]'", "missing-extra"),
        ("JXL", "a JPEG XL", r"pip install 'unprompt\[formats\]'", "missing-extra"),
    ):
        with pytest.raises(PictureError, match=f"found {found}.*; .*{advice}") as caught:
            raise refusal(name)
        assert caught.value.kind == kind
