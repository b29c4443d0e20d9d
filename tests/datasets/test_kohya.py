"""The metadata of kohya's trainers: an object with a caption and tags for each picture's name."""

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_layouts import picture
from hypothesis import given, settings
from hypothesis import strategies as st

from unprompt.datasets import arrays
from unprompt.datasets.pairs import Fault, Pair, checked_pairs, read_pairs
from unprompt.datasets.prompts import PromptSource
from unprompt.images.lists import LINE_LIMIT

NAMES = ("a.png", "b.JPG", "deep/c.v2.webp", "deep/d.png")
SIZE = [512, 768]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    return tmp_path / "set"


def read(path: Path, metadata: Any, root: Path | None = None) -> list[Pair | Fault]:
    path.write_text(metadata if isinstance(metadata, str) else json.dumps(metadata, indent=2), encoding="utf-8")
    return list(read_pairs(path, root))


def names_of(items: list[Pair | Fault]) -> list[str]:
    assert all(isinstance(item, Pair) for item in items)
    return [item.name for item in items if isinstance(item, Pair)]


@pytest.mark.parametrize("name", ["meta_cap.json", "meta_lat.json"])
def test_keys_with_and_without_the_ending_and_whole_paths(folder: Path, name: str) -> None:
    keys = ("a", "b", "deep/c.v2", f"{folder}/deep/d.png")
    items = read(folder / name, {key: {"caption": f"of {key}", "train_resolution": SIZE} for key in keys})
    assert names_of(items) == list(NAMES)
    assert [item.prompt for item in items if isinstance(item, Pair)] == [f"of {key}" for key in keys]
    assert [item.picture.read() for item in items if isinstance(item, Pair)] == [picture(n) for n in range(4)]
    assert all(item.fields == {"train_resolution": SIZE} for item in items if isinstance(item, Pair))
    pairs, faults = checked_pairs(folder / name)
    assert (len(pairs), faults) == (4, {})


def test_metadata_apart_from_the_pictures(folder: Path, tmp_path: Path) -> None:
    metadata = {"a": {"caption": "a cat"}, f"{folder}/deep/d.png": {"caption": "a dog"}}
    assert names_of(read(tmp_path / "meta.json", metadata, folder)) == ["a.png", "deep/d.png"]
    by_working_folder = {"set/a.png": {"caption": "a cat"}}
    assert names_of(read(tmp_path / "meta.json", by_working_folder, tmp_path)) == ["set/a.png"]


@pytest.mark.parametrize(
    ("said", "prompt", "captions"),
    [
        ({"caption": "a cat ", "tags": "cat, hat"}, "a cat, cat, hat", None),
        ({"tags": "cat, hat"}, "cat, hat", None),
        ({"caption": None, "tags": "cat\nhat\n"}, "cat, hat", None),
        ({"caption": "a cat", "tags": ""}, "a cat", None),
        ({"caption": "a cat\n\na hat", "tags": "cat"}, "a cat, cat", ["a cat, cat", "a hat, cat"]),
    ],
)
def test_a_prompt_is_what_the_trainer_learns(
    folder: Path, said: dict[str, str], prompt: str, captions: list[str] | None
) -> None:
    (pair,) = read(folder / "meta.json", {"a": said})
    assert isinstance(pair, Pair)
    assert (pair.prompt, pair.fields.get("captions")) == (prompt, captions)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"train_resolution": SIZE}, "wrong-columns"),
        ({"caption": " ", "tags": ""}, "empty-prompt"),
        ({"caption": 3, "tags": "a"}, "broken-record"),
    ],
)
def test_a_picture_without_a_text_is_one_fault(folder: Path, said: dict[str, Any], kind: str) -> None:
    first, fault, last = read(folder / "meta.json", {"a": {"caption": "a"}, "b": said, "deep/d": {"tags": "d"}})
    assert names_of([first, last]) == ["a.png", "deep/d.png"]
    assert isinstance(fault, Fault)
    assert fault.kind == kind


def test_a_picture_that_is_not_there_or_outside(folder: Path) -> None:
    (folder / "e").mkdir()  # no picture
    metadata = {key: {"caption": "a"} for key in ("a", "none", "e", "../a", "/elsewhere/a.png")}
    assert len(read(folder / "meta.json", metadata)) == 5
    pairs, faults = checked_pairs(folder / "meta.json", skip_bad=True)
    assert names_of([*pairs]) == ["a.png"]
    assert faults["outside-folder"] == 2
    assert faults.total() == 4


def test_prompts_of_metadata_need_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    path.write_text(json.dumps({"a": {"caption": "a cat", "tags": "cat"}, "b": {"tags": "dog"}}))
    source = PromptSource(str(path), pictures=False)
    assert [entry.prompt for entry in source.entries()] == ["a cat, cat", "dog"]


@pytest.mark.parametrize(
    "end", ["", ", ", ', "b', ', "b": ', ', "b": {"caption"', ', "b": {"caption": "x"}', ", 5: {}}"]
)
def test_an_object_that_ends_early(folder: Path, end: str) -> None:
    whole = json.dumps({"a": {"caption": "a"}})
    *before, fault = read(folder / "meta.json", whole.removesuffix("}") + end)
    assert all(isinstance(item, Pair) for item in before)
    assert isinstance(fault, Fault)
    assert fault.kind == "broken-file"
    assert "a whole JSON object of records, found its end early" in fault.message


def test_lines_whose_first_field_is_an_object_are_still_lines(folder: Path) -> None:
    line = json.dumps({"size": {"w": 1}, "file_name": "a.png", "text": "a"})
    assert names_of(read(folder / "list.json", f"{line}\n{line.replace('a.png', 'b.JPG')}")) == ["a.png", "b.JPG"]
    lines = "\n".join(json.dumps({key: {"caption": key}}) for key in ("a", "b"))
    assert names_of(read(folder / "list.json", lines)) == ["a.png", "b.JPG"]


def test_more_than_is_held_at_once(folder: Path) -> None:
    metadata = {**{f"x{n}": {"tags": "cat, " * 200} for n in range(2000)}, "a": {"caption": "a cat"}}
    items = read(folder / "meta.json", metadata)
    assert (folder / "meta.json").stat().st_size > 1.5 * LINE_LIMIT
    assert len(items) == 2001
    assert names_of(items[-1:]) == ["a.png"]


RECORDS = st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=9) | st.lists(st.integers(), max_size=2))


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_every_member_whatever_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(arrays, "_CHUNK", chunk)
    path = tmp_path / "all.json"

    @settings(max_examples=40, deadline=None)
    @given(st.dictionaries(st.text(max_size=8), RECORDS, min_size=1, max_size=4), st.sampled_from([None, 1]))
    def same(metadata: dict[str, Any], indent: int | None) -> None:
        path.write_text(json.dumps(metadata, indent=indent, ensure_ascii=False), encoding="utf-8")
        found = [text for _where, text in arrays.record_texts(str(path))]
        assert [json.loads(text) for text in found if isinstance(text, str)] == [{k: v} for k, v in metadata.items()]

    same()
