"""Every layout gives the same pairs, and every fault is counted and has its place."""

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dataset_layouts import LAYOUTS, PARQUET, TABLES, Record, records, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st

from unprompt.datasets.pairs import Fault, Pair, checked_pairs, read_pairs
from unprompt.errors import DataError

pytestmark = pytest.mark.usefixtures("hub_cache")

COUNT = 5
BAD = 3
"""The record that a test spoils."""


@pytest.fixture
def rows() -> list[Record]:
    return records(COUNT)


def check_faults(source: str, kind: str, *places: str, count: int = 1) -> list[Pair]:
    """The pairs that are left beside the one fault; its kind, count and place are in the error too."""
    with pytest.raises(DataError) as caught:
        checked_pairs(source)
    message = str(caught.value)
    assert f"{count} {kind}" in message
    assert any(place in message for place in places), message
    pairs, faults = checked_pairs(source, skip_bad=True, threads=2)
    assert dict(faults) == {kind: count}
    return pairs


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_pairs(tmp_path: Path, rows: list[Record], layout: str) -> None:
    source = LAYOUTS[layout](tmp_path, rows)
    pairs, faults = checked_pairs(source, threads=2)

    assert not faults
    assert [pair.prompt for pair in pairs] == [row["prompt"] for row in rows]
    assert len({pair.name for pair in pairs}) == COUNT
    backwards = [pair.picture for pair in reversed(pairs)] * 4
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda picture: picture.read(), backwards))
    assert read == [row["picture"] for row in reversed(rows)] * 4


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "tar of txt"])
def test_other_fields_are_kept(tmp_path: Path, rows: list[Record], layout: str) -> None:
    for number, row in enumerate(rows):
        row |= {"group": number - 1, "captions": json.dumps(["a", "b"]) if "csv" in layout else ["a", "b"]}
    pairs, _faults = checked_pairs(LAYOUTS[layout](tmp_path, rows))
    assert [pair.fields["group"] for pair in pairs] == [-1, 0, 1, 2, 3]
    assert pairs[2].fields["captions"] == ["a", "b"]
    assert str(pairs[2].fields["seed"]) == "2"
    assert "prompt" not in pairs[2].fields


@pytest.mark.parametrize("key", ["text", "caption"])
@pytest.mark.parametrize("layout", ["jsonl", "csv", "parquet", "tar of json"])
def test_the_prompt_may_be_called_otherwise(tmp_path: Path, rows: list[Record], layout: str, key: str) -> None:
    for row in rows:
        row[key] = row.pop("prompt")
    assert [pair.prompt for pair in checked_pairs(LAYOUTS[layout](tmp_path, rows))[0]] == [row[key] for row in rows]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("prompt", ["", " \n"])
def test_empty_prompts(tmp_path: Path, rows: list[Record], layout: str, prompt: str) -> None:
    rows[BAD]["prompt"] = prompt
    pairs = check_faults(LAYOUTS[layout](tmp_path, rows), "empty-prompt", *places(layout))
    assert len(pairs) == COUNT - 1


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("how", ["cut", "no picture"])
def test_broken_pictures(tmp_path: Path, rows: list[Record], layout: str, how: str) -> None:
    rows[BAD]["picture"] = rows[BAD]["picture"][:60] if how == "cut" else b"no picture"
    pairs = check_faults(LAYOUTS[layout](tmp_path, rows), "broken-picture", *places(layout))
    assert len(pairs) == COUNT - 1


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("hub, folder", "hub, tars")])
def test_missing_pictures(tmp_path: Path, rows: list[Record], layout: str) -> None:
    rows[BAD]["picture"] = None
    pairs = check_faults(LAYOUTS[layout](tmp_path, rows), "missing-file", *places(layout))
    assert len(pairs) == COUNT - 1


@pytest.mark.parametrize("layout", TABLES)
def test_missing_files_are_found_without_decoding(tmp_path: Path, rows: list[Record], layout: str) -> None:
    rows[BAD]["picture"] = None
    rows[0]["picture"] = b"no picture"
    pairs, faults = checked_pairs(LAYOUTS[layout](tmp_path, rows), skip_bad=True, decode=False)
    assert (len(pairs), dict(faults)) == (COUNT - 1, {"missing-file": 1})


@pytest.mark.parametrize("layout", [*TABLES, "tar", "tar of txt", "tar.gz"])
def test_duplicate_names(tmp_path: Path, rows: list[Record], layout: str) -> None:
    if layout == "folders with csv":  # the same name in two folders is no duplicate
        rows[4]["file_name"] = rows[0]["file_name"]
        assert len(checked_pairs(LAYOUTS[layout](tmp_path, rows))[0]) == COUNT
    rows[BAD]["file_name"] = rows[4]["file_name"]
    pairs = check_faults(LAYOUTS[layout](tmp_path, rows), "duplicate-name", *places(layout, BAD + 1), *places(layout))
    assert [pair.prompt for pair in pairs][:3] == [row["prompt"] for row in rows][:3]


@pytest.mark.parametrize("layout", ["csv", "folder with csv", *PARQUET, "hub, parquet", "hub, folder"])
def test_tables_without_prompts(tmp_path: Path, rows: list[Record], layout: str) -> None:
    for row in rows:
        row["words"] = row.pop("prompt")
    with pytest.raises(DataError, match=r"wrong-columns.*expected a column of prompts in 'prompt', .*found .*words"):
        checked_pairs(LAYOUTS[layout](tmp_path, rows), skip_bad=True)


@pytest.mark.parametrize("layout", ["jsonl", "folder with jsonl", "tar of txt", "tar of json"])
def test_records_without_prompts(tmp_path: Path, rows: list[Record], layout: str) -> None:
    del rows[BAD]["prompt"]
    check_faults(LAYOUTS[layout](tmp_path, rows), "wrong-columns", *places(layout))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "tar of txt"])
def test_fields_of_another_kind(tmp_path: Path, rows: list[Record], layout: str) -> None:
    for row in rows:
        row["group"] = "three"
    source = LAYOUTS[layout](tmp_path, rows)
    with pytest.raises(DataError, match=r"5 broken-record.*expected 'group' to be a whole number, found three"):
        checked_pairs(source)


def places(layout: str, number: int = BAD) -> list[str]:
    """How a message may name the place of a record."""
    if layout == "csv" or layout.endswith("with csv"):
        return [f".csv:{number + 2}: ", f"train/metadata.csv:{number - 1}: "]
    if "tar" in layout or layout == "pattern":
        return [f".tar/{number:03}: ", f".tar.gz/{number:03}: ", f", row {number}: "]
    return [f".jsonl:{number + 1}: ", f", row {number}: ", f"1-of-2.parquet, row {number - 3}: "]


def test_all_faults_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    rows = records(20)
    for row in rows[5:15]:
        row["prompt"] = ""
    rows[18]["picture"] = None
    source = write_jsonl(tmp_path / "list.jsonl", rows)
    with pytest.raises(
        DataError, match=r"found 9 sound records and faults beside them \(10 empty-prompt, 1 missing-file\)"
    ) as caught:
        checked_pairs(source)
    assert [f"{source}:{line}: " in str(caught.value) for line in (6, 7, 8, 9)] == [True, True, True, False]
    assert f"{source}:19: " in str(caught.value)


def test_nothing_left_is_an_error_even_if_faults_are_skipped(tmp_path: Path, rows: list[Record]) -> None:
    for row in rows:
        row["prompt"] = ""
    with pytest.raises(DataError, match="5 empty-prompt"):
        checked_pairs(write_jsonl(tmp_path / "list.jsonl", rows), skip_bad=True)


def test_what_was_looked_at_is_told(tmp_path: Path, rows: list[Record]) -> None:
    rows[BAD]["prompt"] = ""
    heard: list[int] = []
    checked_pairs(write_jsonl(tmp_path / "list.jsonl", rows), skip_bad=True, advance=heard.append)
    assert heard == [1] * 5


def test_pairs_come_as_they_are_read(tmp_path: Path) -> None:
    """The end of the file is not there yet when the first pair is."""
    path = write_jsonl(tmp_path / "list.jsonl", records(3))
    pairs = iter(read_pairs(path))
    next(pairs)
    with path.open("a") as file:
        file.write("later\n")
    assert [type(item) for item in pairs] == [Pair, Pair, Fault]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("none", "found nothing there"),
        ("none.jsonl", "found nothing there"),
        ("hub:", "expected hub:OWNER/NAME"),
        ("hub:owner", "expected hub:OWNER/NAME"),
        ("*.tar", r"expected files that match .*\*.tar, found none"),
        ("", r"found neither in the folder .*; name the list: .*empty.jsonl"),
        ("notes.txt", r"files of one kind .* found \.txt"),
        ("empty.jsonl", "expected pictures with prompts in .*empty.jsonl, found none"),
        ("header.csv", "expected pictures with prompts in .*header.csv, found none"),
    ],
)
def test_what_is_no_data_set(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "header.csv").write_text("file_name,prompt\n")
    with pytest.raises(DataError, match=said):
        checked_pairs(source if source.startswith("hub:") else str(tmp_path / source))


def test_a_pattern_of_several_kinds(tmp_path: Path, rows: list[Record]) -> None:
    LAYOUTS["tar"](tmp_path, rows)
    LAYOUTS["parquet"](tmp_path, rows)
    with pytest.raises(DataError, match=r"files of one kind .* found \.parquet, \.tar"):
        next(iter(read_pairs(f"{tmp_path}/set/*.*")))


def test_tars_come_before_the_tables_beside_them(tmp_path: Path, rows: list[Record]) -> None:
    """img2dataset writes 00000.parquet, without pictures, beside 00000.tar."""
    folder = LAYOUTS["folder of tars"](tmp_path, rows)
    (Path(folder) / "0.parquet").write_bytes(b"")
    assert len(checked_pairs(folder)[0]) == COUNT


def test_a_folder_with_signs_of_patterns_in_its_name(tmp_path: Path, rows: list[Record]) -> None:
    for layout in ("folder with csv", "folder of tars", "folder of parquet"):
        assert len(checked_pairs(LAYOUTS[layout](tmp_path / f"a[1]* {layout}", rows))[0]) == COUNT


@pytest.mark.parametrize("layout", ["jsonl", "csv", "tar", "tar.gz"])
def test_damage_is_a_fault_and_never_another_error(tmp_path: Path, rows: list[Record], layout: str) -> None:
    source = Path(LAYOUTS[layout](tmp_path, rows))
    whole = source.read_bytes()
    place = st.integers(0, len(whole) - 1) | st.integers(max(0, len(whole) - 1000), len(whole) - 1)

    @settings(max_examples=60)
    @given(st.lists(st.tuples(place, st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=4))
    def damage(changes: list[tuple[int, bytes, int]]) -> None:
        data = whole
        for at, new, length in changes:
            data = data[:at] + new + data[at + length :]
        source.write_bytes(data)
        with contextlib.suppress(DataError):
            pairs, faults = checked_pairs(source, skip_bad=True, threads=1)
            assert len(pairs) + sum(faults.values()) > 0

    damage()


def test_the_projects_own_pairs(shared: Path) -> None:
    source = shared / "data" / "pairs" / "val.jsonl"
    pairs: Iterator[Pair | Fault] = read_pairs(source)
    first = next(pairs)
    assert isinstance(first, Pair)
    assert first.name.startswith("images/")
    assert first.picture.read().startswith(b"RIFF")
    assert sum(isinstance(item, Pair) for item in pairs) == 1177
