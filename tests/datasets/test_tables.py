"""JSON lines and CSV from strangers."""

import json
import re
from pathlib import Path

import pytest
from dataset_layouts import picture

from unprompt.datasets.pairs import Fault, Pair, read_pairs
from unprompt.errors import DataError
from unprompt.images.lists import LINE_LIMIT

GOOD = '{"file_name": "a.png", "prompt": "good"}'


def read(path: Path, data: str | bytes) -> list[Pair | Fault]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    return list(read_pairs(path))


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("not json", "broken-record", "expected a JSON object such as .*, found not json"),
        ('["a.png", "a"]', "broken-record", "expected a JSON object"),
        ("{}", "wrong-columns", "expected a picture in 'file_name', 'filepath', 'image', found nothing"),
        ('{"file_name": "b.png"}', "wrong-columns", "expected a prompt in 'prompt', .*, found nothing"),
        ('{"picture": "b.png", "prompt": "a"}', "wrong-columns", "in 'file_name', .*, found picture, prompt"),
        ('{"file_name": 3, "prompt": "a"}', "broken-record", "expected 'file_name' to be a text, found 3"),
        ('{"file_name": "b.png", "prompt": 3}', "broken-record", "expected 'prompt' to be a text, found 3"),
        ('{"file_name": "b.png", "prompt": null}', "empty-prompt", "expected 'prompt' to be a text, found an empty"),
        ('{"file_name": "b.png", "prompt": "\\ud800"}', "broken-record", "'prompt' to be a text, found .ud800"),
        ('{"file_name": "b\\u0000.png", "prompt": "a"}', "broken-record", "found b.x00.png"),
        ('{"file_name": "", "prompt": "a"}', "missing-file", "expected 'file_name' to be a picture's path"),
        ('{"file_name": "./", "prompt": "a"}', "missing-file", "expected 'file_name' to be a picture's path"),
        ('{"file_name": "/b.png", "prompt": "a"}', "outside-folder", "found the absolute path /b.png"),
        ('{"file_name": "../b.png", "prompt": "a"}', "outside-folder", "found ../b.png"),
        ('{"file_name": "x/../b.png", "prompt": "a"}', "outside-folder", "found x/../b.png"),
        ('{"file_name": "./a.png", "prompt": "a"}', "duplicate-name", "found a.png again"),
        ('{"file_name": "b.png", "prompt": "a", "captions": "b"}', "broken-record", "'captions' to be a list of texts"),
        ('{"file_name": "b.png", "prompt": "a", "captions": [1]}', "broken-record", "'captions' to be a list of texts"),
        ('{"file_name": "b.png", "prompt": "a", "group": 1.5}', "broken-record", "'group' to be a whole number"),
        ('{"file_name": "b.png", "prompt": "a", "group": true}', "broken-record", "'group' to be a whole number"),
        ("[" * 100_000, "broken-record", "expected a JSON object"),
        ('{"a":' * 100_000, "broken-record", "expected a JSON object"),
        (json.dumps({"file_name": "b.png", "prompt": "a" * LINE_LIMIT}), "broken-record", "at most 1,048,576 bytes"),
        (b'{"file_name": "b.png", "prompt": "\xff"}', "broken-record", "expected a line of UTF-8"),
    ],
)
def test_a_broken_line_is_one_fault(tmp_path: Path, line: str | bytes, kind: str, said: str) -> None:
    lines = [GOOD, line, '{"file_name": "last.png", "prompt": "last"}', ""]
    path = tmp_path / "list.jsonl"
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    first, fault, last = read(path, data)
    assert isinstance(first, Pair)
    assert isinstance(last, Pair)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.where) == (kind, f"{path}:2")
    assert re.search(said, fault.message), fault.message
    assert len(fault.message) < 300


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_blank_lines_and_marks(tmp_path: Path, end: str) -> None:
    pairs = read(tmp_path / "list.jsonl", "\ufeff" + GOOD + end + end + GOOD.replace("a.png", "b.png"))
    assert [pair.name for pair in pairs if isinstance(pair, Pair)] == ["a.png", "b.png"]
    table = f"\ufefffile_name,prompt{end}a.png,good{end}{end}b.png,good"
    assert [pair.name for pair in read(tmp_path / "list.csv", table) if isinstance(pair, Pair)] == ["a.png", "b.png"]


def test_the_records_other_fields(tmp_path: Path) -> None:
    line = '{"file_name": "a.png", "prompt": "a", "text": "b", "group": null, "captions": null, "x": {"y": [1]}}'
    (pair,) = read(tmp_path / "list.jsonl", line)
    assert isinstance(pair, Pair)
    assert pair.fields == {"text": "b", "group": None, "captions": None, "x": {"y": [1]}}


def test_utf_16_is_named(tmp_path: Path) -> None:
    fault, *_rest = read(tmp_path / "list.jsonl", GOOD.encode("utf-16"))
    assert isinstance(fault, Fault)
    assert "save the file as UTF-8" in fault.message


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("imgId,prompt", "expected a column of pictures in 'file_name', 'filepath', 'image', found imgId, prompt"),
        ("file_name,words", "of prompts in 'prompt', 'text', 'caption', 'title', found file_name, words"),
        ("file_name,prompt,prompt", "expected each column once, found file_name, prompt, prompt"),
        ("file_name|prompt", "'image', found file_name|prompt"),
    ],
)
def test_wrong_columns_end_a_table(tmp_path: Path, header: str, said: str) -> None:
    path = tmp_path / "list.csv"
    (fault,) = read(path, f"{header}\na.png,b\nc.png,d\n")
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.where) == ("wrong-columns", f"{path}:1")
    assert said in fault.message


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        ("b.png,a,b,c,d", "broken-record", "expected 4 cells, as in the first line, found 5"),
        ("b.png", "broken-record", "expected 4 cells, as in the first line, found 1"),
        ('b.png,"a" b,,', "broken-record", "expected a row of CSV, found: "),
        ("../b.png,a,,", "outside-folder", "found ../b.png"),
        ("a.png,a,,", "duplicate-name", "found a.png again"),
        (",a,,", "missing-file", "expected 'file_name' to be a picture's path"),
        ("b.png,,,", "empty-prompt", "found an empty one"),
        ("b.png,a,three,", "broken-record", "expected 'group' to be a whole number, found three"),
        ("b.png,a,1.5,", "broken-record", "expected 'group' to be a whole number, found 1.5"),
        ("b.png,a,,cat", "broken-record", "expected 'captions' to be a JSON list"),
        ('b.png,a,,"{""a"": 1}"', "broken-record", "expected 'captions' to be a list of texts"),
        (f"b.png,{'a' * LINE_LIMIT},,", "broken-record", "at most 1,048,576 bytes"),
        (f"b.png,{'a' * 200_000},,", "broken-record", "field larger than field limit"),
    ],
)
def test_a_broken_row_is_one_fault(tmp_path: Path, row: str, kind: str, said: str) -> None:
    path = tmp_path / "list.csv"
    first, fault, last = read(path, f"file_name,prompt,group,captions\na.png,a,,\n{row}\nlast.png,a,,\n")
    assert isinstance(first, Pair)
    assert isinstance(last, Pair)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.where) == (kind, f"{path}:3")
    assert said in fault.message


def test_cells_are_typed(tmp_path: Path) -> None:
    data = 'file_name,prompt,group,captions,seed\na.png,"a, b\nc",3,"[""x""]",7\nb.png,d,,,\nc.png,,1,,\n'
    first, second, third = read(tmp_path / "list.csv", data)
    assert isinstance(first, Pair)
    assert isinstance(second, Pair)
    assert (first.prompt, dict(first.fields)) == ("a, b\nc", {"group": 3, "captions": ["x"], "seed": "7"})
    assert dict(second.fields) == {"group": None, "captions": None, "seed": ""}
    assert isinstance(third, Fault)
    assert third.where.endswith(".csv:5")


def test_an_open_quote_does_not_take_the_rest_into_memory(tmp_path: Path) -> None:
    rows = "".join(f"{number}.png,a\n" for number in range(50_000))
    found = read(tmp_path / "list.csv", f'file_name,prompt\n"{rows}')
    assert isinstance(found[0], Fault)
    assert "field larger than field limit" in found[0].message
    assert len(found) > 10_000


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").symlink_to("none")
    with pytest.raises(DataError, match=r"expected a data set at .*folder\.jsonl: expected a file, found none"):
        next(iter(read_pairs(tmp_path / "folder.jsonl")))


def test_links_and_a_file_called_dash_are_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own cache is made of links, and "-" is no standard input here."""
    (tmp_path / "blob").write_bytes(picture(1))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "-").symlink_to(tmp_path / "blob")
    monkeypatch.chdir(tmp_path / "set")
    (pair,) = read(Path("list.jsonl"), '{"file_name": "-", "prompt": "a"}')
    assert isinstance(pair, Pair)
    assert pair.picture.read() == picture(1)


def test_names_are_paths_below_the_source(tmp_path: Path) -> None:
    for split in ("test", "train"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "metadata.jsonl").write_text('{"file_name": "sub//./a.png", "text": "a"}\n')
    pairs = list(read_pairs(tmp_path))
    assert [pair.name for pair in pairs if isinstance(pair, Pair)] == ["test/sub/a.png", "train/sub/a.png"]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_what_separates_cells(tmp_path: Path, delimiter: str, suffix: str) -> None:
    table = delimiter.join(["Prompt", "file_name"]) + "\n" + delimiter.join(['"a, b; c"', "a.png"]) + "\n"
    (pair,) = read(tmp_path / f"list.{suffix}", table)
    assert isinstance(pair, Pair)
    assert (pair.name, pair.prompt) == ("a.png", "a, b; c")


def test_open_clips_tables(tmp_path: Path) -> None:
    """A row a caption, separated by tabs, with paths."""
    rows = ["filepath\ttitle", "a.png\tone", "a.png\ttwo", f"{tmp_path}/b.png\tthree", "a.png\tagain"]
    first, second, fault = read(tmp_path / "train.csv", "\n".join(rows))
    assert isinstance(first, Pair)
    assert isinstance(second, Pair)
    assert isinstance(fault, Fault)
    assert (first.name, first.prompt, dict(first.fields)) == ("a.png", "one", {"captions": ["one", "two"]})
    assert (second.name, second.prompt, dict(second.fields)) == ("b.png", "three", {})
    assert fault.kind == "duplicate-name"
