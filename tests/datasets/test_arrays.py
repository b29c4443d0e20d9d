"""JSON arrays of records, as LLaVA has them, from strangers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unprompt.datasets import arrays
from unprompt.datasets.pairs import Fault, Pair, read_pairs
from unprompt.datasets.records import Fault as AnyFault
from unprompt.errors import DataError

CONVERSATION = [
    {"from": "human", "value": "<image>\nsay"},
    {"from": "gpt", "value": "a cat "},
    {"from": "gpt", "value": "x"},
]
LLAVA = {"id": 1, "image": "part\\a.jpg", "conversations": CONVERSATION}


def read(path: Path, text: str) -> list[Pair | Fault]:
    path.write_text(text, encoding="utf-8")
    return list(read_pairs(path))


def test_llavas_records(tmp_path: Path) -> None:
    other = {
        "image": "b.jpg",
        "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a dog"}],
    }
    first, second = read(tmp_path / "llava.json", json.dumps([LLAVA, other], indent=1))
    assert isinstance(first, Pair)
    assert isinstance(second, Pair)
    assert (first.name, first.prompt, first.fields["id"]) == ("part/a.jpg", "a cat", 1)
    assert (second.name, second.prompt) == ("b.jpg", "a dog")


def test_a_conversation_without_an_answer_or_a_picture(tmp_path: Path) -> None:
    rows: list[Any] = [
        {**LLAVA, "conversations": CONVERSATION[:1]},
        {"id": 2, "conversations": CONVERSATION},
        3,
        "x",
        [],
    ]
    found = read(tmp_path / "llava.json", json.dumps(rows))
    assert [(item.kind, item.where.rpartition(", ")[2]) for item in found if isinstance(item, Fault)] == [
        ("wrong-columns", "record 1"),
        ("wrong-columns", "record 2"),
        ("broken-record", "record 3"),
        ("broken-record", "record 4"),
        ("broken-record", "record 5"),
    ]


def test_lines_by_this_name(tmp_path: Path) -> None:
    line = json.dumps({"file_name": "a.png", "text": "a"})
    assert [type(item) for item in read(tmp_path / "list.json", f"{line}\n{line.replace('a.png', 'b.png')}\n")] == [
        Pair,
        Pair,
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "expected a whole JSON array of records, found its end early"),
        ('[{"image": "a.png", "text": "a"}', "its end early"),
        ('[{"image": "a.png", "text": "a', "its end early"),
        ('["a]', "its end early"),
        ("[" * 5000, "its end early"),
        ('[{"image": "' + "a" * 3_000_000 + '"}]', "at most 1,048,576 characters"),
    ],
)
def test_what_is_no_whole_array(tmp_path: Path, text: str, said: str) -> None:
    *_before, fault = read(tmp_path / "llava.json", text)
    assert isinstance(fault, AnyFault)
    assert fault.kind == "broken-file"
    assert said in fault.message


def test_other_bytes_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"text": "\xff"}]')
    (fault,) = read_pairs(tmp_path / "a.json")
    assert isinstance(fault, Fault)
    assert "save the file as UTF-8" in fault.message
    (tmp_path / "link.json").symlink_to("none")
    with pytest.raises(DataError, match="expected a data set"):
        next(iter(read_pairs(tmp_path / "link.json")))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_every_item_whatever_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(arrays, "_CHUNK", chunk)
    path = tmp_path / "all.json"

    @settings(max_examples=40, deadline=None)
    @given(st.lists(VALUES, max_size=4), st.sampled_from([None, 1]), st.booleans())
    def same(values: list[Any], indent: int | None, ascii_alone: bool) -> None:
        path.write_text(json.dumps(values, indent=indent, ensure_ascii=ascii_alone), encoding="utf-8")
        found = [text for _where, text in arrays.record_texts(str(path))]
        assert [json.loads(text) for text in found if isinstance(text, str)] == values
        assert all(isinstance(text, str) for text in found)

    same()
