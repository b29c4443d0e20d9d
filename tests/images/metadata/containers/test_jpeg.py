"""JPEG: what goes on in further segments, and what stands in which."""

import random
from typing import Any

import pytest
from layouts import app11, dataset, extended_xmp, image_resource, jpeg, jumbf, tiff, user_comment, xmp

from unprompt.images.metadata.fields import extract

EXIF, XMP, PHOTOSHOP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
LONG = ", ".join(f"word{number}" for number in range(9_000))
"""A text that fills more than one segment, also in Latin letters."""


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def test_exif_of_several_segments() -> None:
    block = user_comment(LONG)
    assert len(block) > 2 * 65_000
    found = extract(jpeg(*((0xE1, EXIF + part) for part in cut(block, 65_000))))
    assert found.exif == {"UserComment": LONG}


def test_a_second_block_of_exif_continues_none() -> None:
    found = extract(jpeg((0xE1, EXIF + user_comment("a fox")), (0xE1, EXIF + user_comment("a cat"))))
    assert found.exif == {"UserComment": "a fox"}


@pytest.mark.parametrize("first", [{0x010F: b"Canon\0"}, {0x010E: b"a holiday\0"}, {0x0112: b"\1\0"}, {0x010E: b" \0"}])
def test_a_second_block_of_exif_adds_what_the_first_lacks(first: dict[int, bytes]) -> None:
    """An editor that does not look for the camera's block writes one of its own."""
    block = tiff({tag: (2, text) for tag, text in first.items()})
    found = extract(jpeg((0xE1, EXIF + block), (0xE1, EXIF + user_comment("a fox"))))
    assert found.exif["UserComment"] == "a fox"
    assert found.exif.get("ImageDescription") in (None, "a holiday", " ")


def test_a_comment_of_several_segments() -> None:
    assert extract(jpeg(*((0xFE, part) for part in cut(LONG.encode(), 65_533)))).text == {"Comment": LONG}


def test_two_comments_are_not_one() -> None:
    assert extract(jpeg((0xFE, b"a fox\0"), (0xFE, b"a cat"))).text == {"Comment": "a fox"}


@pytest.mark.parametrize("in_order", [True, False])
def test_xmp_of_several_segments(in_order: bool) -> None:
    main, *parts = extended_xmp(xmp(description="a fox").encode(), xmp(prompt=LONG).encode())
    assert len(parts) > 1
    if not in_order:
        random.Random(1).shuffle(parts)
    found = extract(jpeg(main, *parts))
    assert {name: found.xmp[name] for name in ("description", "prompt")} == {"description": "a fox", "prompt": LONG}


def test_extended_xmp_beside_that_of_another_picture() -> None:
    main, *parts = extended_xmp(xmp().encode(), xmp(prompt=LONG).encode())
    _, *others = extended_xmp(xmp().encode(), xmp(prompt="a cat").encode())
    assert extract(jpeg(main, *others, *parts)).xmp["prompt"] == LONG
    assert "prompt" not in extract(jpeg(main, *others)).xmp
    assert "prompt" not in extract(jpeg((0xE1, XMP + xmp(description="a fox").encode()), *parts)).xmp


@pytest.mark.parametrize(
    "changed",
    [
        lambda parts: parts[1:],
        lambda parts: parts[:-1],
        lambda parts: [parts[0], *parts[2:]],
        lambda parts: [*parts[:-1], (parts[-1][0], parts[-1][1].replace(b"word", b"sord"))],
        lambda parts: [(marker, body[:67] + bytes(4) + body[71:]) for marker, body in parts],
        lambda parts: [(marker, body[:71] + b"\xff" * 4 + body[75:]) for marker, body in parts],
    ],
    ids=["no beginning", "no end", "a gap", "other words", "another length", "another offset"],
)
def test_extended_xmp_that_is_not_what_was_named(changed: Any) -> None:
    main, *parts = extended_xmp(xmp(description="a fox").encode(), xmp(prompt=LONG).encode(), size=20_000)
    assert "prompt" in extract(jpeg(main, *parts)).xmp
    found = extract(jpeg(main, *changed(parts)))
    assert "prompt" not in found.xmp
    assert found.xmp["description"] == "a fox"


@pytest.mark.parametrize("name", [b"", b"odd", b"even"])
@pytest.mark.parametrize("is_long", [False, True])
def test_iptc_among_the_resources_of_photoshop(name: bytes, is_long: bool) -> None:
    records = dataset(90, b"\x1b%G", record=1) + dataset(120, "a red fox, déjà vu".encode(), long=is_long)
    resources = image_resource(0x03ED, b"odd", name) + image_resource(0x0404, records, name)
    found = extract(jpeg((0xED, PHOTOSHOP + resources)))
    assert found.iptc == {"Caption-Abstract": "a red fox, déjà vu"}


def test_iptc_that_goes_on_in_a_second_segment() -> None:
    resources = image_resource(0x0404, dataset(120, b"a red fox"))
    assert extract(jpeg((0xED, PHOTOSHOP + resources[:20]), (0xED, PHOTOSHOP + resources[20:]))).iptc


@pytest.mark.parametrize("size", [11, 100, 60_000])
def test_a_manifest_of_several_segments(size: int) -> None:
    manifest = jumbf(bytes(range(256)) * 2)
    assert extract(jpeg(*app11(manifest, size=size))).c2pa == manifest


@pytest.mark.parametrize("marker", [0xE1, 0xEB, 0xED, 0xFE])
@pytest.mark.parametrize("head", [b"", EXIF, XMP, PHOTOSHOP, b"JP", b"http://ns.adobe.com/xmp/extension/\0"])
@pytest.mark.parametrize("body", [b"", b"\0", b"8BIM", bytes(16), b"\xff" * 60])
def test_a_broken_segment_says_nothing(marker: int, head: bytes, body: bytes) -> None:
    found = extract(jpeg((marker, head + body)))
    assert not any((found.exif, found.xmp, found.iptc))
