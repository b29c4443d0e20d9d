"""Elements: the tags of WebM and MKV, wherever they stand."""

import pytest
from boxes import UNKNOWN_LENGTH, cluster, element, seek_head, simple_tags, webm

from unprompt.images.metadata.containers import ebml
from unprompt.images.metadata.fields import extract

GRAPH = '{"3": {"class_type": "KSampler", "inputs": {}}}'
TAGS = simple_tags(PROMPT=GRAPH, WORKFLOW="{}", COMMENT="ein Fuchs im Schnée", DESCRIPTION="a cat", ENCODER="Lavf60")
EXPECTED = {
    "prompt": GRAPH,
    "workflow": "{}",
    "Comment": "ein Fuchs im Schnée",
    "Description": "a cat",
    "Software": "Lavf60",
}


def test_tags_before_and_behind_the_frames() -> None:
    assert extract(webm(TAGS, cluster(), cluster())).text == EXPECTED
    assert extract(webm(cluster(), cluster(), TAGS)).text == EXPECTED


def test_the_segment_of_a_live_stream_says_no_length() -> None:
    assert extract(webm(TAGS, cluster(length=UNKNOWN_LENGTH), length=UNKNOWN_LENGTH)).text == EXPECTED


def test_tags_behind_an_open_cluster() -> None:
    """They are found through the table of contents, or near the end of the file without one."""
    frames = cluster(length=UNKNOWN_LENGTH)
    table = seek_head(len(seek_head(0)) + len(frames))
    assert extract(webm(table, frames, TAGS)).text == EXPECTED
    assert extract(webm(frames, TAGS)).text == EXPECTED


def test_a_table_of_contents_that_lies() -> None:
    for position in (0, 1, 2**40, 2**63):
        assert extract(webm(seek_head(position), TAGS)).text == EXPECTED


def test_the_title_of_the_film_and_tags_inside_tags() -> None:
    inner = element(0x67C8, element(0x45A3, b"PROMPT"), element(0x4487, b"a fox"))
    outer = element(0x67C8, element(0x45A3, b"ORIGINAL"), inner)
    made = webm(element(0x1549A966, element(0x7BA9, b"Foxes")), element(0x1254C367, element(0x7373, outer)))
    assert extract(made).text == {"Title": "Foxes", "prompt": "a fox"}


def test_tags_inside_tags_without_end() -> None:
    tag = b""
    for _ in range(200):
        tag = element(0x67C8, tag)
    assert not extract(webm(element(0x1254C367, element(0x7373, tag))))


def test_no_more_elements_are_looked_at_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    data = webm(*[cluster()] * 20, TAGS, cluster(bytes(2**20)))
    assert extract(data).text == EXPECTED
    monkeypatch.setattr(ebml, "_ELEMENT_LIMIT", 20)
    assert not extract(data)


def test_every_byte_may_be_a_lie() -> None:
    data = webm(seek_head(60), cluster(b"abc"), simple_tags(PROMPT=GRAPH))
    for at in range(len(data)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            extract(data[:at] + bytes([value]) + data[at + 1 :])
        extract(data[:at])
