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
    assert not source.alone
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


KAGGLE = 'imgId,prompt\n20057f34d,"a crater, dystopian"\n227ef0887,ramen carved out of ebony\n'


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        ("prompts.csv", KAGGLE, {"imgId": "20057f34d"}),
        ("prompts.csv", "\ufeffPrompt;n\na crater, dystopian;1\nramen carved out of ebony;2\n", {"n": "1"}),
        ("p.jsonl", '{"text": "a crater, dystopian", "n": 1}\n\n{"text": "ramen carved out of ebony"}', {"n": 1}),
        ("p.json", '[{"caption": "a crater, dystopian"}, {"caption": "ramen carved out of ebony"}]', {}),
    ],
)
def test_tables_of_prompts_alone(tmp_path: Path, name: str, content: str, fields: dict[str, object]) -> None:
    (tmp_path / name).write_text(content)
    source = PromptSource(str(tmp_path / name))
    assert source.alone
    assert not source.is_text
    entries = list(source.entries())
    assert [entry.prompt for entry in entries] == ["a crater, dystopian", "ramen carved out of ebony"]
    assert [entry.pair for entry in entries] == [None, None]
    assert dict(entries[0].fields) == fields


def test_prompts_alone_in_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"prompt": ["a cat", "a dog"], "n": [1, 2]}), tmp_path / "p.parquet")
    source = PromptSource(str(tmp_path / "p.parquet"))
    assert source.alone
    assert list(source.entries()) == [Entry("a cat", None, {"n": 1}), Entry("a dog", None, {"n": 2})]


def test_the_first_record_says_whether_there_are_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('broken\n{"file_name": "a.png", "text": "a"}\n{"text": "b"}\n')
    source = PromptSource(str(tmp_path / "a.jsonl"), skip_bad=True)
    assert not source.alone
    assert [entry.prompt for entry in source.entries()] == ["a"]
    assert dict(source.faults) == {"broken-record": 1, "wrong-columns": 1}


def test_pictures_that_nobody_needs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("filepath,title\n/elsewhere/a.png,a cat\n")
    assert [entry.prompt for entry in PromptSource(str(tmp_path / "a.csv"), pictures=False).entries()] == ["a cat"]


def test_text_files_by_a_pattern(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"prompt {name}\n")
    assert [entry.prompt for entry in PromptSource(f"{tmp_path}/*.txt").entries()] == ["prompt a", "prompt b"]
