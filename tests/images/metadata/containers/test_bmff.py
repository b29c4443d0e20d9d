"""Boxes: items of pictures, tags of films."""

import struct
from io import BytesIO
from typing import Any

import pytest
from boxes import (
    C2PA_UUID,
    JXL_HEAD,
    XMP_UUID,
    box,
    exif_item,
    free_form,
    ftyp,
    full_box,
    ilst,
    items,
    keyed,
    mp4,
    tags,
)
from layouts import jumbf, user_comment, xmp
from PIL import Image

from unprompt.images.metadata.containers import bmff
from unprompt.images.metadata.fields import extract

TIFF = user_comment("a red fox")
XMP = xmp(description="a cat").encode()
GRAPH = b'{"3": {"class_type": "KSampler", "inputs": {}}}'


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("in_idat", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("brand", [b"heic", b"avif", b"mif1"])
def test_exif_and_xmp_as_items(version: int, in_idat: bool, parts: int, brand: bytes) -> None:
    if in_idat and not version:
        in_idat = False  # the first version knows offsets of the file alone
    found = extract(items(exif_item(TIFF), (b"mime", XMP), brand=brand, version=version, in_idat=in_idat, parts=parts))
    assert found.exif == {"UserComment": "a red fox"}
    assert found.xmp == {"description": "a cat"}


def test_exif_behind_its_own_header() -> None:
    assert extract(items(exif_item(TIFF, b"Exif\0\0"))).exif == {"UserComment": "a red fox"}


def test_what_pillow_writes() -> None:
    file = BytesIO()
    Image.new("RGB", (16, 16)).save(file, "AVIF", exif=b"Exif\0\0" + TIFF, xmp=XMP)
    found = extract(file.getvalue())
    assert found.exif == {"UserComment": "a red fox"}
    assert found.xmp == {"description": "a cat"}


def test_exif_to_which_no_table_leads_is_found_by_its_signature() -> None:
    assert extract(ftyp(b"avif") + box(b"mdat", b"abc" + TIFF)).exif == {"UserComment": "a red fox"}
    assert not extract(ftyp(b"isom") + box(b"mdat", b"abc" + TIFF))  # frames of a film may hold anything


def test_jpeg_xl() -> None:
    data = (
        JXL_HEAD + ftyp(b"jxl ") + box(b"Exif", bytes(4) + TIFF) + box(b"xml ", XMP) + jumbf() + box(b"jxlc", b"\xff\n")
    )
    found = extract(data)
    assert found.exif == {"UserComment": "a red fox"}
    assert found.xmp == {"description": "a cat"}
    assert found.c2pa == jumbf()
    assert extract(JXL_HEAD + box(b"Exif", TIFF)).exif  # as pillow-jxl-plugin writes it
    assert not extract(b"\xff\x0a" + bytes(60))  # a bare stream has no place for text


def test_jpeg_xl_packed_by_brotli() -> None:
    brotli = pytest.importorskip("brotli")
    packed = (box(b"brob", kind + brotli.compress(body)) for kind, body in ((b"Exif", bytes(4) + TIFF), (b"xml ", XMP)))
    found = extract(JXL_HEAD + ftyp(b"jxl ") + b"".join(packed))
    assert found.exif == {"UserComment": "a red fox"}
    assert found.xmp == {"description": "a cat"}
    assert not extract(JXL_HEAD + box(b"brob", b"xml " + brotli.compress(b"<a>" + bytes(9 * 2**20))))


@pytest.mark.parametrize("body", [b"", b"xml ", b"xml broken", b"Exif\0"])
def test_a_broken_packed_box_is_none(body: bytes) -> None:
    assert not extract(JXL_HEAD + ftyp(b"jxl ") + box(b"brob", body))


def test_the_keys_of_a_film() -> None:
    texts = {"prompt": GRAPH, "workflow": b"{}", "Comment": b"a fox", "com.apple.quicktime.description": b"a cat"}
    expected = {"prompt": GRAPH.decode(), "workflow": "{}", "Comment": "a fox", "Description": "a cat"}
    for meta in (keyed(texts), keyed(texts, quicktime=True)):
        for moov in (meta, box(b"udta", meta)):
            assert extract(mp4(moov)).text == expected


def test_the_tags_of_itunes() -> None:
    made = tags(
        ilst(b"\xa9cmt", b"a fox"),
        ilst(b"desc", b"a cat"),
        ilst(b"\xa9nam", "Füchse".encode()),
        ilst(b"\xa9too", "Lavf".encode("utf-16-be"), well_known=2),
        ilst(b"covr", b"\xff\xd8", well_known=13),
        free_form(b"Workflow", b"{}"),
    )
    assert extract(mp4(box(b"udta", made))).text == {
        "Comment": "a fox",
        "Description": "a cat",
        "Title": "Füchse",
        "Software": "Lavf",
        "workflow": "{}",
    }


def test_the_user_data_of_quicktime_and_3gp() -> None:
    quicktime = box(b"\xa9cmt", struct.pack(">HH", 5, 0), b"a fox")
    mobile = full_box(b"dscp", b"\x15\xc7a cat\0")
    found = extract(mp4(box(b"udta", quicktime, mobile), brand=b"qt  "))
    assert found.text == {"Comment": "a fox", "Description": "a cat"}


def test_a_film_of_the_nineties_begins_without_a_brand() -> None:
    data = box(b"wide") + mp4(keyed({"prompt": GRAPH}, quicktime=True))[len(ftyp(b"isom")) :]
    assert extract(data).text == {"prompt": GRAPH.decode()}


def test_a_box_of_64_bits_and_one_that_is_open() -> None:
    moov = box(b"moov", box(b"udta", tags(ilst(b"\xa9cmt", b"a fox"))))
    assert extract(ftyp(b"isom") + box(b"mdat", bytes(99), wide=True) + moov).text == {"Comment": "a fox"}
    assert extract(ftyp(b"isom") + bytes(4) + moov[4:]).text == {"Comment": "a fox"}


def test_the_boxes_of_c2pa_and_of_xmp() -> None:
    manifest = box(b"uuid", C2PA_UUID, bytes(4), b"manifest\0", bytes(8), jumbf())
    for film in (mp4(), items(exif_item(TIFF))):
        found = extract(film + manifest + box(b"uuid", XMP_UUID, XMP))
        assert found.c2pa == jumbf()
        assert found.xmp == {"description": "a cat"}
    assert extract(mp4(box(b"udta", box(b"XMP_", XMP)))).xmp == {"description": "a cat"}


def test_no_more_boxes_are_looked_at_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ftyp(b"isom") + box(b"free") * 10 + box(b"moov", box(b"udta", tags(ilst(b"\xa9cmt", b"a fox"))))
    assert extract(data).text
    monkeypatch.setattr(bmff, "_BOX_LIMIT", 10)
    assert not extract(data)


def test_an_item_that_is_named_again_and_again_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = items(*[exif_item(TIFF)] * 40)
    table = data.index(b"infe")
    collected: list[int] = []
    collect = bmff._collected

    def noted(*arguments: Any) -> bytes:
        collected.append(1)
        return collect(*arguments)

    monkeypatch.setattr(bmff, "_collected", noted)
    assert extract(data).exif
    assert len(collected) == bmff._WANTED_LIMIT
    collected.clear()
    first = data[table + 8 : table + 10]
    extract(data.replace(struct.pack(">H", 2) + bytes(4), first + bytes(4)))
    assert len(collected) <= bmff._WANTED_LIMIT


def test_no_more_extents_are_looked_at_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = items((b"mime", XMP), exif_item(TIFF), parts=5)
    assert extract(data).exif
    monkeypatch.setattr(bmff, "_EXTENT_LIMIT", 5)
    monkeypatch.setattr(bmff, "_exifs_by_signature", lambda _data: iter(()))
    found = extract(data)
    assert found.xmp
    assert not found.exif


def test_every_number_may_be_a_lie() -> None:
    films = (
        mp4(box(b"udta", keyed({"prompt": GRAPH}), tags(ilst(b"\xa9cmt", b"a fox"))), frames=b""),
        items(exif_item(TIFF), (b"mime", XMP), version=1, in_idat=True),
    )
    for data in films:
        for at in range(len(data) - 4):
            for number in (0, 1, 2**31, 2**32 - 1, len(data)):
                extract(data[:at] + struct.pack(">I", number) + data[at + 4 :])
            extract(data[:at])
