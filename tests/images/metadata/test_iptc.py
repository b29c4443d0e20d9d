"""IPTC: records alone and among resources, broken ones."""

import pytest
from layouts import dataset, image_resource

from unprompt.images.metadata.iptc import read

RECORDS = dataset(5, b"Foxes") + dataset(120, "a fox, déjà vu".encode()) + dataset(200, b"x")
EXPECTED = {"ObjectName": "Foxes", "Caption-Abstract": "a fox, déjà vu"}


@pytest.mark.parametrize(
    "data", [RECORDS, image_resource(0x0404, RECORDS), image_resource(1, b"abc") + image_resource(0x0404, RECORDS)]
)
def test_records(data: bytes) -> None:
    assert read(data) == EXPECTED


def test_latin_letters_and_an_empty_text() -> None:
    assert read(dataset(120, "déjà vu".encode("latin-1")) + dataset(105, b"")) == {"Caption-Abstract": "déjà vu"}


@pytest.mark.parametrize(
    "data", [b"", b"8BIM", b"8BIM\4\4", b"\x1c", b"\x1c\2\x78\xff\xff", b"\x1c\2\x78\x80\x09", image_resource(1, b"a")]
)
def test_broken_records_are_none(data: bytes) -> None:
    assert read(data) == {}


def test_cut_off_anywhere() -> None:
    data = image_resource(0x0404, dataset(120, b"a fox", long=True))
    for end in range(len(data)):
        read(data[:end])
