"""EXIF: the codes of `UserComment` and their misuse, tags of Windows, texts whose offset is stale."""

import struct

import pytest
from layouts import USER_COMMENT, directory, tiff

from unprompt.images.metadata import exif

WORDS = "a red fox, déjà vu, 狐\nSteps: 20"
LATIN = "a red fox\nSteps: 20"
SWAPPED = b"NUCIDO\0E"
GRAPH = '{"3": {"class_type": "KSampler"}}'


def comment(body: bytes, order: str = ">") -> str | None:
    return exif.read(directory({USER_COMMENT: body}, order=order)).get("UserComment")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"UNICODE\0" + WORDS.encode("utf-16-le"), WORDS),
        (b"UNICODE\0" + WORDS.encode("utf-16-be"), WORDS),
        (b"UNICODE\0" + WORDS.encode("utf-16"), WORDS),
        (b"UNICODE\0" + WORDS.encode(), WORDS),
        (b"UNICODE\0" + LATIN.encode(), LATIN),
        (b"UNICODE" + LATIN.encode("utf-16-le"), LATIN),
        (b"Unicode\0" + LATIN.encode("utf-16-be"), LATIN),
        (b"UNICODE\0" + (LATIN + "\0\0garbage").encode("utf-16-be"), LATIN),
        (b"\0\0UNICODE\0" + LATIN.encode("utf-16-be"), LATIN),
        (bytes(8) + b"UNICODE\0" + LATIN.encode("utf-16-le"), LATIN),
        (SWAPPED + LATIN.encode("utf-16-le"), LATIN),
        (b"ASCII\0\0\0" + LATIN.encode(), LATIN),
        (b"ASCII\0\0\0" + WORDS.encode(), WORDS),
        (b"ASCII\0" + LATIN.encode(), LATIN),
        (b"ASCII   " + LATIN.encode(), LATIN),
        (b"ASCII\0\0\0" + LATIN.encode() + b"\0\0\0", LATIN),
        (b"ASCII\0\0\0\0\0" + LATIN.encode(), LATIN),
        (b"JIS\0\0\0\0\0" + "赤い狐".encode("iso2022_jp"), "赤い狐"),
        (b"JIS\0\0\0\0\0" + WORDS.encode(), WORDS),
        (bytes(8) + WORDS.encode(), WORDS),
        (bytes(8) + LATIN.encode("utf-16-le"), LATIN),
        (WORDS.encode(), WORDS),
        ("déjà vu".encode("latin-1"), "déjà vu"),
        (LATIN.encode("utf-16-be"), LATIN),
        (LATIN.encode("utf-16-le"), LATIN),
        (b"ASCII art of a fox", "ASCII art of a fox"),
        (b"Unicode art of a fox", "Unicode art of a fox"),
        (b"JIS code", "JIS code"),
        (b"ASCIIart", "ASCIIart"),
    ],
)
def test_a_comment_in_any_encoding(body: bytes, expected: str, order: str) -> None:
    assert comment(body, order) == expected


@pytest.mark.parametrize("order", "<>")
def test_letters_that_show_no_byte_order_follow_the_directory(order: str) -> None:
    words = "赤い狐が雪の中を走る"
    assert comment(b"UNICODE\0" + words.encode("utf-16-be" if order == ">" else "utf-16-le"), order) == words


@pytest.mark.parametrize(
    ("tag", "name"),
    [(0x9C9B, "XPTitle"), (0x9C9C, "XPComment"), (0x9C9E, "XPKeywords"), (0x9C9F, "XPSubject"), (0x9C9D, "XPAuthor")],
)
@pytest.mark.parametrize("body", [(WORDS + "\0").encode("utf-16-le"), WORDS.encode()])
def test_tags_of_windows(tag: int, name: str, body: bytes) -> None:
    assert exif.read(tiff({tag: (1, body)})) == {name: WORDS}


def test_plain_tags() -> None:
    texts = {0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software", 0x013B: "Artist"}
    found = exif.read(tiff({tag: name.encode() + b"\0" for tag, name in texts.items()}))
    assert found == {name: name for name in texts.values()}
    assert exif.read(tiff({0x010E: (129, WORDS.encode())})) == {"ImageDescription": WORDS}  # UTF-8, new in EXIF 3.0


@pytest.mark.parametrize("nuls", [1, 3])
def test_nuls_before_a_text(nuls: int) -> None:
    assert exif.read(tiff({0x0110: bytes(nuls) + b"prompt:{}\0"})) == {"Model": "prompt:{}"}


def with_offset(block: bytes, tag: int, shift: int) -> bytes:
    """The block with the offset in this tag's entry (little-endian) moved."""
    at = block.index(struct.pack("<H", tag), 8) + 8
    (offset,) = struct.unpack_from("<I", block, at)
    return block[:at] + struct.pack("<I", (offset + shift) % 2**32) + block[at + 4 :]


@pytest.mark.parametrize("shift", [-3, 1, 7, 300, 10**6, -(10**6)])
@pytest.mark.parametrize("tag", [0x010F, 0x0110])
def test_a_graph_whose_offset_is_stale(shift: int, tag: int) -> None:
    block = tiff({0x010F: b'workflow:{"nodes": []}\0', 0x0110: f"prompt:{GRAPH}\0".encode()}, behind=bytes(500))
    found = exif.read(with_offset(block, tag, shift))
    assert found["Model"] == f"prompt:{GRAPH}"
    assert found["Make"] == 'workflow:{"nodes": []}'


@pytest.mark.parametrize("shift", [2, 20, 400, 10**6])
@pytest.mark.parametrize("code", [b"UNICODE\0" + LATIN.encode("utf-16-be"), b"ASCII\0\0\0" + LATIN.encode()])
def test_a_comment_whose_offset_is_stale(shift: int, code: bytes) -> None:
    block = tiff({USER_COMMENT: (7, code)}, behind=bytes(500))
    if code.startswith(b"ASCII") and shift == 20:
        return  # inside plain words nothing shows that some are missing
    assert exif.read(with_offset(block, USER_COMMENT, shift)) == {"UserComment": LATIN}


def test_a_comment_to_whose_directory_nothing_leads() -> None:
    block = directory({USER_COMMENT: b"UNICODE\0" + LATIN.encode("utf-16-be")})
    assert exif.read(block.replace(b"\x87\x69", b"\x87\x6a")) == {"UserComment": LATIN}


def test_a_comment_without_a_code_is_not_taken_for_a_stale_one() -> None:
    block = tiff({USER_COMMENT: (7, b"a cat")}, behind=b"UNICODE\0" + LATIN.encode("utf-16-be"))
    assert exif.read(block) == {"UserComment": "a cat"}


def test_a_graph_inside_other_words_is_no_stale_one() -> None:
    text = b"my prompt: {red|blue} fox\0"
    assert exif.read(tiff({0x010E: text})) == {"ImageDescription": text[:-1].decode()}
