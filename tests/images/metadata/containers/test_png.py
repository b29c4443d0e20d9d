"""PNG: where text may stand, and in which packing."""

import pytest
from layouts import (
    chunk,
    dataset,
    directory,
    image_resource,
    itext,
    jumbf,
    png,
    raw_profile,
    text,
    user_comment,
    xmp,
    ztext,
)

from unprompt.images.metadata.fields import extract

WORDS = "a red fox\nSteps: 20"


@pytest.mark.parametrize(
    "made",
    [
        text("parameters", WORDS),
        ztext("parameters", WORDS.encode()),
        itext("parameters", WORDS),
        itext("parameters", WORDS, compressed=True),
    ],
    ids=["tEXt", "zTXt", "iTXt", "packed iTXt"],
)
@pytest.mark.parametrize("is_behind", [False, True], ids=["before the pixels", "behind them"])
def test_a_text(made: bytes, is_behind: bool) -> None:
    data = png(after=(made,)) if is_behind else png(made)
    assert extract(data).text == {"parameters": WORDS}


@pytest.mark.parametrize("kind", ["exif", "APP1", "app1"])
@pytest.mark.parametrize("head", [b"", b"Exif\0\0"])
def test_exif_in_hexadecimal(kind: str, head: bytes) -> None:
    profile = raw_profile(kind, head + user_comment(WORDS))
    for made in (ztext(f"Raw profile type {kind}", profile.encode()), text(f"Raw profile type {kind}", profile)):
        found = extract(png(made))
        assert found.exif == {"UserComment": WORDS}
        assert not found.text


@pytest.mark.parametrize("kind", ["xmp", "APP1"])
def test_xmp_in_hexadecimal(kind: str) -> None:
    head = b"http://ns.adobe.com/xap/1.0/\0" if kind == "APP1" else b""
    profile = raw_profile(kind, head + xmp(description="a red fox").encode())
    assert extract(png(ztext(f"Raw profile type {kind}", profile.encode()))).xmp == {"description": "a red fox"}


@pytest.mark.parametrize("kind", ["iptc", "8bim"])
def test_iptc_in_hexadecimal(kind: str) -> None:
    records = image_resource(0x0404, dataset(120, b"a red fox"))
    profile = raw_profile(kind, records)
    assert extract(png(text(f"Raw profile type {kind}", profile))).iptc == {"Caption-Abstract": "a red fox"}


@pytest.mark.parametrize(
    "profile", ["", "\nexif\n", "\nexif\n   12\nxyz", "\nexif\n   12\n4d4", "exif 99 zz zz", "\nexif\nx\n4d4d"]
)
def test_a_broken_profile_is_none(profile: str) -> None:
    assert not extract(png(text("Raw profile type exif", profile)))


def test_a_profile_of_colours_stays_a_text() -> None:
    assert list(extract(png(text("Raw profile type icc", "\nicc\n2\nab"))).text) == ["Raw profile type icc"]


def test_exif_and_a_manifest_as_chunks() -> None:
    found = extract(png(chunk(b"eXIf", directory({0x9286: b"a fox"})), chunk(b"caBX", jumbf())))
    assert found.exif == {"UserComment": "a fox"}
    assert found.c2pa == jumbf()


@pytest.mark.parametrize("is_packed", [False, True])
def test_xmp_as_a_text(is_packed: bool) -> None:
    found = extract(png(itext("XML:com.adobe.xmp", xmp(description="a fox"), compressed=is_packed)))
    assert found.xmp == {"description": "a fox"}
    assert not found.text
