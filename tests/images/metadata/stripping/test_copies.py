"""A copy has no text, and shows the same picture."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from images.metadata.stripping import files
from PIL import Image, ImageSequence

from unprompt.errors import PictureError
from unprompt.images.decode import Picture, decode
from unprompt.images.metadata.reader import inspect
from unprompt.images.metadata.stripping import strip
from unprompt.images.sources import image_refs

PICTURES = {
    "png": files.png(),
    "png, lying": files.png(6),
    "png with a palette": files.png(mode="P"),
    "apng": files.apng(),
    "jpeg": files.jpeg(),
    "jpeg, lying": files.jpeg(8),
    "jpeg, upright": files.jpeg(1),
    "jpeg, progressive": files.jpeg(progressive=True),
    "jpeg, cmyk": files.jpeg(3, "CMYK"),
    "jpeg, grey": files.jpeg(mode="L"),
    "webp": files.webp(),
    "webp, lying": files.webp(5),
    "webp, lossless": files.webp(lossless=True),
    "webp, animated": files.webp(frames=3),
    "gif": files.gif(),
    "tiff": files.tiff(),
    "tiff, lying": files.tiff(7),
    "tiff of many pages": files.tiff(pages=3),
    "tiff, compressed": files.tiff(compression="tiff_lzw"),
    "bigtiff": files.tiff(6, big=True),
    "avif": files.avif(),
    "avif, lying": files.avif(6),
}
OTHERS = {
    "mp4": files.mp4(),
    "mov": files.mp4(b"qt  "),
    "webm": files.webm(),
    "mkv": files.webm(b"matroska"),
    "jxl": files.jxl(),
}
FILES = PICTURES | OTHERS
IN_PLACE = ("tiff", "bigtiff", "avif", "mp4", "mov", "webm", "mkv")


def decoded(data: bytes) -> Picture:
    (ref,) = image_refs(data)
    found = decode(ref, read_metadata=False)
    assert isinstance(found, Picture), found
    return found


def frames(data: bytes) -> list[tuple[bytes, object]]:
    with Image.open(io.BytesIO(data)) as image:
        return [
            (frame.convert("RGBA").tobytes(), frame.info.get("duration")) for frame in ImageSequence.Iterator(image)
        ]


def profile(data: bytes) -> object:
    with Image.open(io.BytesIO(data)) as image:
        return image.info.get("icc_profile"), image.info.get("dpi"), image.info.get("loop")


@pytest.mark.parametrize("name", FILES)
def test_no_text_is_left(name: str) -> None:
    copy = strip(FILES[name])
    assert inspect(copy) is None
    for text in (files.WORDS.encode(), files.WORDS.encode("utf-16-be"), b"dc:description", b"UNICODE"):
        assert text in FILES[name] or text != files.WORDS.encode()
        assert text not in copy


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_pixels_frames_and_colours(name: str) -> None:
    data, copy = PICTURES[name], strip(PICTURES[name])
    assert np.array_equal(decoded(data).pixels, decoded(copy).pixels)
    assert frames(data) == frames(copy)
    assert profile(data) == profile(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_copy_of_a_copy_is_the_same(name: str) -> None:
    copy = strip(FILES[name])
    assert strip(copy) == copy


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(IN_PLACE)])
def test_offsets_do_not_move(name: str) -> None:
    data, copy = FILES[name], strip(FILES[name])
    assert len(copy) == len(data)
    for kept in (b"frames of the movie", b"a frame of the video"):
        assert copy.find(kept) == data.find(kept)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_finds_no_text(tmp_path: Path) -> None:
    paths = {str(tmp_path / str(number)): name for number, name in enumerate(FILES)}
    for path, name in paths.items():
        Path(path).write_bytes(strip(FILES[name]))
    run = subprocess.run(["exiftool", "-j", "-a", "-G1", "-u", *paths], capture_output=True, check=True)
    for found in json.loads(run.stdout):
        name = paths[found["SourceFile"]]
        assert not [value for value in found.values() if "bunny" in str(value)], name
        groups = {tag.partition(":")[0] for tag in found}
        assert not {group for group in groups if group.startswith(("XMP", "IPTC", "ExifIFD", "Photoshop"))}, name
        assert not found.keys() & {"IFD0:ImageDescription", "IFD0:Make", "IFD0:Software", "ItemList:Comment"}, name


def test_xmp_says_the_orientation_where_exif_does_not() -> None:
    data = files.jpeg()
    packet = b'<x tiff:Orientation="6"/>'
    segment = b"\xff\xe1" + (len(packet) + 31).to_bytes(2, "big") + b"http://ns.adobe.com/xap/1.0/\0" + packet
    turned = data[:2] + segment + b"".join(strip(data).partition(b"\xff\xe0")[1:])
    assert decoded(turned).size == (16, 24)
    assert np.array_equal(decoded(strip(turned)).pixels, decoded(turned).pixels)


def test_text_in_the_pixels_is_refused() -> None:
    pixels = np.full((64, 64, 4), 255, np.uint8)
    payload = b"stealth_pnginfo" + (8 * len(files.BODY)).to_bytes(4, "big") + files.BODY
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    alpha = np.full(64 * 64, 254, np.uint8)
    alpha[: len(bits)] += bits
    pixels[:, :, 3] = alpha.reshape(64, 64).T
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    with pytest.raises(PictureError, match=r"hidden in the lowest bits.*save the picture as JPEG") as caught:
        strip(file.getvalue())
    assert caught.value.kind == "hidden-text"


@pytest.mark.parametrize("data", [b"", b"a cat on a mat", b"%PDF-1.7"])
def test_an_unknown_format_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError) as caught:
        strip(data)
    assert caught.value.kind == "not-a-picture"


@pytest.mark.parametrize("name", FILES)
def test_what_ends_early_is_refused_or_has_no_text(name: str) -> None:
    data = FILES[name]
    for end in range(16, len(data), max(1, len(data) // 40)):
        check_answer(data[:end])


@pytest.mark.parametrize("name", FILES)
def test_damage_is_refused_or_copied(name: str) -> None:
    chance = random.Random(name)
    for _ in range(40):
        damaged = bytearray(FILES[name])
        for _ in range(chance.randrange(1, 5)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        check_answer(bytes(damaged))


def test_a_place_that_no_file_has_is_damage() -> None:
    check_answer(b"II+\0\x08\0\0\0" + b"\xff" * 8)
    check_answer(b"MM\0*" + b"\xff" * 4)


def check_answer(data: bytes) -> None:
    """Whatever is wrong with it, it is copied, or refused with what to do."""
    with contextlib.suppress(PictureError):
        assert inspect(strip(data)) is None
        return
    with pytest.raises(PictureError, match=r"^expected .*; .*") as caught:
        strip(data)
    assert caught.value.kind in ("truncated", "too-large", "not-a-picture")
