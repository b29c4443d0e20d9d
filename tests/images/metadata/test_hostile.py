import gzip
import json
import random
import struct
import tracemalloc
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from layouts import (
    PNG_SIGNATURE,
    chunk,
    draw_things_xmp,
    itext,
    jpeg_exif,
    lossless_webp,
    png,
    stealth,
    text,
    user_comment,
    webp_exif,
    ztext,
)
from PIL import Image

from unprompt.images.metadata.reader import find  # without the net under `read`, which would hide our own faults

PROMPT = text("parameters", "a fox\nSteps: 20, Seed: 1")


def peak_of(data):
    tracemalloc.start()
    try:
        found = find(data)
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("head", [b"parameters\x00\x00", b"parameters\x00\x01\x00\x00\x00"], ids=["zTXt", "iTXt"])
def test_texts_are_unpacked_to_eight_megabytes_in_all(head):
    kind = b"zTXt" if len(head) == 12 else b"iTXt"
    text = zlib.compress(b"a fox " * 10**6)
    found, peak = peak_of(png(*[chunk(kind, head + text)] * 20))
    assert found is None  # a prompt of six million letters is none
    assert peak < 40 * 2**20


@pytest.mark.parametrize("body", [zlib.compress(bytes(2**20)), b"not deflate", zlib.compress(b"cut off")[:-3], b""])
def test_a_large_or_broken_text_before_it_does_not_hide_the_prompt(body):
    assert find(png(chunk(b"zTXt", b"junk\x00\x00" + body), PROMPT)).prompt == "a fox"


def test_a_broken_animation_makes_no_warning():
    pixels = stealth("a fox\nSteps: 2")
    assert find(png(chunk(b"acTL", struct.pack(">II", 0, 0)), pixels=pixels)).prompt == "a fox"


def test_a_hidden_text_is_unpacked_to_eight_megabytes():
    found, peak = peak_of(png(pixels=stealth(gzip.compress(bytes(10**7)), width=256, height=512)))
    assert found is None
    assert peak < 20 * 2**20


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**32 - 1])
def test_a_hidden_text_may_lie_about_its_length(length):
    pixels = np.full((200, 8, 4), 255, np.uint8)
    bits = np.unpackbits(np.frombuffer(b"stealth_pngcomp" + struct.pack(">I", length), np.uint8))
    pixels[: len(bits), 0, 3] = 254 | bits
    assert find(png(pixels=pixels)) is None


@pytest.mark.parametrize("body", [b"\x1f\x8bbroken", b"", b"\xff\xfe\x00"])
def test_broken_gzip_in_the_pixels(body):
    assert find(png(pixels=stealth(body))) is None


@pytest.mark.parametrize("nest", ["[" * 2_000, '{"a":' * 2_000, "[" * 2_000 + "]" * 2_000])
@pytest.mark.parametrize("keyword", ["prompt", "Comment", "invokeai_metadata", "sd-metadata"])
def test_deep_json(nest, keyword):
    assert find(png(ztext(keyword, nest.encode()))) is None


def test_deep_json_in_other_places():
    nest = "[" * 2_000
    for data in (
        webp_exif(user_comment('{"sui_image_params":' + nest)),
        png(text("Software", "NovelAI"), text("Comment", '{"prompt":' + nest)),
        png(itext("XML:com.adobe.xmp", draw_things_xmp({}).replace("{}", '{"c":' + nest))),
    ):
        assert find(data) is None


def test_numbers_beyond_reason():
    comment = '{"prompt": "a fox", "uc": "", "seed": %s, "scale": NaN, "steps": 1e999}' % ("9" * 100_000)
    found = find(png(text("Software", "NovelAI"), text("Comment", comment)))
    assert found.prompt == "a fox"
    json.dumps(dict(found.settings), allow_nan=False)


LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<x xmlns:exif="http://ns.adobe.com/exif/1.0/"><exif:UserComment>{"c": "&b;", "uc": ""}</exif:UserComment></x>"""


@pytest.mark.parametrize(
    "document",
    [LAUGHS, LAUGHS.replace("<!DOCTYPE", "<!doctype"), "<a>" * 300, "<a " + 'b="c" ' * 99, "<", "<a/>" * 9],
)
def test_xmp_that_is_not_ours(document):
    assert find(png(itext("XML:com.adobe.xmp", document, compressed=True))) is None


def test_a_document_type_is_refused_even_where_it_declares_nothing():
    good = draw_things_xmp({"c": "a fox", "uc": ""})
    assert find(png(itext("XML:com.adobe.xmp", good))).prompt == "a fox"
    assert find(png(itext("XML:com.adobe.xmp", "<!DOCTYPE x>" + good))) is None


def test_a_wrong_checksum_is_no_reason_to_lose_a_prompt():
    assert find(png(chunk(b"tEXt", b"parameters\x00a fox", crc=0))).prompt == "a fox"


@pytest.mark.parametrize("compressed", [False, True])
def test_utf8_that_is_not_and_lone_surrogates(compressed):
    found = find(png(itext("parameters", "a \ud800fox", compressed=compressed)))
    found.prompt.encode()
    found.raw.encode()
    comment = r'{"prompt": "a \ud800 fox", "uc": "\udfff", "seed": "\udc00", "k\ud800": 1}'
    found = find(png(text("Software", "NovelAI"), text("Comment", comment)))
    assert found.prompt == "a \ufffd fox"
    json.dumps([found.raw, found.negative_prompt, dict(found.settings)], ensure_ascii=False).encode()


def test_nothing_that_could_drive_a_terminal_comes_out():
    evil = "\x1b[2J\x1b]0;x\x07\x08\x9b31m\u202e"
    found = find(
        png(itext("parameters", f"a {evil}fox\nNegative prompt: b{evil}lur\nSteps: 2, Mo{evil}del: x{evil}, Seed: 1"))
    )
    assert (found.prompt, found.negative_prompt) == ("a fox", "blur")
    shown = "".join([found.prompt, found.negative_prompt, *found.settings, *map(str, found.settings.values())])
    assert shown.isprintable()


SMALL = {
    "png": png(PROMPT, ztext("prompt", b"{}"), itext("Comment", "{}", compressed=True)),
    "jpeg": jpeg_exif(user_comment("a fox\nSteps: 20, Seed: 1")),
    "webp": webp_exif(user_comment("a fox\nSteps: 20, Seed: 1")),
    "alpha": png(pixels=stealth("a fox\nSteps: 2", width=16)),
    "alpha webp": lossless_webp(stealth("a fox\nSteps: 2", width=16)),
}


@pytest.mark.parametrize("kind", SMALL)
def test_cut_off_at_every_byte(kind):
    data = SMALL[kind]
    assert find(data).prompt == "a fox"
    for end in range(len(data)):
        find(data[:end])


@pytest.mark.parametrize("kind", SMALL)
def test_any_byte_may_be_wrong(kind):
    data, chance = SMALL[kind], random.Random(7)
    for position in range(len(data)):
        broken = bytearray(data)
        broken[position] = chance.randrange(256)
        find(bytes(broken))


def test_exif_that_points_at_itself_or_nowhere():
    tiff = bytearray(user_comment("a fox"))
    for offset in range(40):
        for value in (0, 8, 0xFFFFFFFF, len(tiff) - 1):
            broken = bytes(tiff[:offset]) + struct.pack(">I", value) + bytes(tiff[offset + 4 :])
            find(jpeg_exif(broken))


def test_empty_chunks_without_a_text():
    assert find(PNG_SIGNATURE + chunk(b"tEXt", b"") * 5_000) is None
    assert find(b"\xff\xd8" + b"\xff\xfe\x00\x02" * 5_000) is None
    assert find(b"\xff\xd8" + b"\xff" * 5_000) is None
    assert find(b"RIFF\0\0\0\0WEBP" + b"ABCD\0\0\0\0" * 5_000) is None


def test_only_the_first_thousand_texts_are_read():
    others = [text(f"k{number}", "x") for number in range(1_000)]
    assert find(png(*others[:999], PROMPT)).prompt == "a fox"
    assert find(png(*others, PROMPT)) is None


SIGNATURES = st.sampled_from(
    [
        b"",
        PNG_SIGNATURE,
        b"\xff\xd8\xff\xe1",
        b"\xff\xd8\xff\xfe",
        b"RIFF\0\0\0\0WEBP",
        b"II*\0",
        b"MM\0*",
        b"\0\0\0\x20ftypavif",
    ]
)


@settings(max_examples=100)
@given(SIGNATURES, st.binary(max_size=300))
@example(b"\0\0\0\x20ftypavif", b"")
def test_random_bytes_after_a_signature(signature, body):
    find(signature + body)


@settings(max_examples=100)
@given(
    st.sampled_from(
        ["parameters", "prompt", "Comment", "sd-metadata", "invokeai_metadata", "Dream", "XML:com.adobe.xmp"]
    ),
    st.one_of(
        st.text(max_size=200),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.dictionaries(
                    st.sampled_from(
                        [
                            "prompt",
                            "uc",
                            "image",
                            "inputs",
                            "class_type",
                            "positive",
                            "guider",
                            "v4_prompt",
                            "caption",
                            "1",
                        ]
                    ),
                    inner,
                    max_size=5,
                ),
            ),
            max_leaves=20,
        ).map(json.dumps),
    ),
)
def test_random_texts_under_known_names(keyword, value):
    found = find(png(itext(keyword, value), text("Software", "NovelAI")))
    if found is not None:
        assert found.prompt.isprintable() or any(ord(letter) > 127 for letter in found.prompt)


def test_avif_is_read_and_a_broken_one_says_nothing():
    buffer = BytesIO()
    tiff = user_comment("a fox\nSteps: 20, Seed: 1")
    Image.new("RGB", (16, 16)).save(buffer, "AVIF", exif=b"Exif\x00\x00" + tiff)
    data = buffer.getvalue()
    assert find(data).prompt == "a fox"
    for position in range(0, len(data), 3):
        find(data[:position])
        find(data[:position] + b"\xff\x00\xff" + data[position + 3 :])
