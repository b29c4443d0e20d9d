"""Prompts of text files and of data sets, and what is wrong with them."""

from pathlib import Path

import pytest
from dataset_layouts import records, write_jsonl, write_pictures

from unprompt.datasets.prompts import Entry, PromptSource
from unprompt.errors import DataError


def test_a_line_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "prompts.TXT"
    path.write_bytes("\ufeffa cat\r\n\n  \n a dog \u2028 in a boat\n猫".encode())
    source = PromptSource(str(path))
    assert source.is_text
    assert list(source.entries()) == [Entry(text, None) for text in ("a cat", "a dog \u2028 in a boat", "猫")]


def test_the_pictures_of_a_data_set(tmp_path: Path) -> None:
    rows = records(3)
    write_pictures(tmp_path, rows)
    source = PromptSource(str(write_jsonl(tmp_path / "all.jsonl", rows)))
    entries = list(source.entries())
    assert [entry.prompt for entry in entries] == [row["prompt"] for row in rows]
    assert [entry.pair.name for entry in entries if entry.pair] == [row["file_name"] for row in rows]


@pytest.fixture
def faulty(tmp_path: Path) -> str:
    path = tmp_path / "faulty.txt"
    path.write_bytes(b"a cat\n\xff\xfe\na dog\n" + b"x" * (2 << 20) + b"\n\x80\n\x80\n\x80\n")
    return str(path)


def test_faults_are_an_error_once_all_was_read(faulty: str) -> None:
    seen = []
    with pytest.raises(DataError) as caught:
        seen += [entry.prompt for entry in PromptSource(faulty).entries()]
    assert "found 2 sound records and faults beside them (5 broken-record): " in str(caught.value)
    assert str(caught.value).endswith("; mend these, or leave them out with --skip-bad")
    assert str(caught.value).count("faulty.txt:") == 3


def test_faults_are_left_out_and_counted_anew_each_time(faulty: str) -> None:
    source = PromptSource(faulty, skip_bad=True)
    for _ in range(2):
        assert [entry.prompt for entry in source.entries()] == ["a cat", "a dog"]
        assert source.faults == {"broken-record": 5}


@pytest.mark.parametrize(("content", "message"), [(b"\n \n", "found none"), (b"\xff", "found nothing else")])
def test_nothing_sound_is_an_error_even_so(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "none.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(PromptSource(str(path), skip_bad=True).entries())


@pytest.mark.parametrize("name", ["none.txt", "none.jsonl", "."])
def test_what_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="expected"):
        list(PromptSource(str(tmp_path / name)).entries())
