"""TIFF: tags of the first directory."""

import pytest
from layouts import dataset, image_resource, jumbf, tiff, xmp

from unprompt.images.metadata.fields import extract

RECORDS = dataset(120, b"a red fox") + dataset(25, b"fox") + dataset(25, b"red")
CAPTION = {"Caption-Abstract": "a red fox", "Keywords": "fox, red"}


@pytest.mark.parametrize("order", "<>")
def test_texts_xmp_and_a_manifest(order: str) -> None:
    found = extract(tiff({0x010E: b"a fox\0", 700: (1, xmp(title="a cat").encode()), 52545: (7, jumbf())}, order=order))
    assert found.exif == {"ImageDescription": "a fox"}
    assert found.xmp == {"title": "a cat"}
    assert found.c2pa == jumbf()


@pytest.mark.parametrize(
    ("tag", "kind", "body"),
    [
        (33723, 7, RECORDS),
        (33723, 4, RECORDS.ljust(-(-len(RECORDS) // 4) * 4, b"\0")),
        (34377, 1, image_resource(0x0404, RECORDS)),
    ],
    ids=["bytes", "numbers of 32 bits", "resources of Photoshop"],
)
def test_iptc(tag: int, kind: int, body: bytes) -> None:
    assert extract(tiff({tag: (kind, body)})).iptc == CAPTION
