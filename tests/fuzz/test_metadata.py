import struct

import pytest
from fuzz import seeds
from fuzz.chunks import mend_checksums
from fuzz.inputs import make
from fuzz.targets import check_metadata
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import (
    chunk_riff,
    directory,
    draw_things_xmp,
    itext,
    jpeg,
    jpeg_exif,
    png,
    text,
    webp_exif,
)

from unprompt.images.metadata.reader import find

TEXTS = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates and controls among them
KEYWORDS = st.sampled_from(["parameters", "prompt", "Comment", "sd-metadata", "invokeai_metadata", "Dream"])


@settings(max_examples=200)  # `make fuzz` makes 100,000 of them
@given(st.integers(0, 2**62))
def test_damaged_and_hostile_files(index):
    check_metadata(make("metadata", 0, index))


@settings(max_examples=200)
@given(KEYWORDS, TEXTS)
def test_any_text_under_a_known_name(keyword, value):
    check_metadata(png(text("Software", "NovelAI"), itext(keyword, value)))


@settings(max_examples=100)
@given(
    st.sampled_from([jpeg_exif, webp_exif, bytes]), st.sampled_from([0x010F, 0x0110, 0x9286]), st.binary(max_size=300)
)
def test_any_bytes_under_a_known_tag(wrap, tag, value):
    check_metadata(wrap(directory({tag: value})))


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_as_comment_and_xmp(value):
    check_metadata(jpeg((0xFE, value), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + value)))


@pytest.mark.parametrize("name", seeds.metadata())
def test_cut_off_and_damaged_throughout(name):
    for file in seeds.metadata()[name]:
        for end in range(0, len(file), 1 + len(file) // 60):
            check_metadata(file[:end])
            check_metadata(mend_checksums(file[:end] + b"\xff" + file[end + 1 :]))


def test_only_the_first_blocks_of_a_kind_are_read():
    xmp = draw_things_xmp({"c": "a fox", "uc": ""}).encode()
    for empty, found in ((7, True), (8, False)):
        body = b"WEBP" + chunk_riff(b"XMP ", b"<a/>") * empty + chunk_riff(b"XMP ", xmp)
        assert (find(b"RIFF" + struct.pack("<I", len(body)) + body) is not None) == found
