"""Parquet from strangers."""

import datetime
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from dataset_layouts import picture, records, write_parquet

from unprompt.datasets.pairs import Fault, Pair, checked_pairs, read_pairs
from unprompt.datasets.parquet import ParquetPicture, RowGroups
from unprompt.errors import DataError, MissingExtraError, PictureError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

PNG = picture(1)


def write(path: Path, **columns: Any) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def fault_of(path: Path) -> Fault:
    (fault,) = read_pairs(path)
    assert isinstance(fault, Fault)
    return fault


def pairs_of(path: Path) -> list[Pair]:
    return checked_pairs(path)[0]


@pytest.mark.parametrize("kind", ["binary", "large_binary", "struct"])
@pytest.mark.parametrize("name", ["image", "jpg"])
def test_pictures_in_each_kind_of_column(tmp_path: Path, kind: str, name: str) -> None:
    cells = [{"bytes": PNG, "path": None}] if kind == "struct" else pyarrow.array([PNG], getattr(pyarrow, kind)())
    (pair,) = pairs_of(write(tmp_path / "a.parquet", **{name: cells, "prompt": ["a"]}))
    assert pair.picture.read() == PNG
    assert (pair.name, pair.picture.below) == ("a.parquet/0", "a.parquet/0")


def test_the_columns_of_diffusiondb(tmp_path: Path) -> None:
    time = datetime.datetime(2022, 8, 7, 22, 57, tzinfo=datetime.timezone.utc)
    path = write(
        tmp_path / "train.parquet",
        image=[{"bytes": PNG, "path": "3bfcd9cf.png"}],
        prompt=["a portrait"],
        seed=pyarrow.array([3312523387], pyarrow.uint32()),
        step=pyarrow.array([50], pyarrow.uint16()),
        cfg=pyarrow.array([7.0], pyarrow.float32()),
        sampler=["k_lms"],
        width=pyarrow.array([512], pyarrow.uint16()),
        height=pyarrow.array([512], pyarrow.uint16()),
        user_name=["2a7b"],
        timestamp=pyarrow.array([time], pyarrow.timestamp("us", tz="UTC")),
        image_nsfw=pyarrow.array([0.25], pyarrow.float32()),
        prompt_nsfw=pyarrow.array([None], pyarrow.float32()),
    )
    (pair,) = pairs_of(path)
    assert pair.prompt == "a portrait"
    assert dict(pair.fields) == {
        "file_name": "3bfcd9cf.png",
        "seed": 3312523387,
        "step": 50,
        "cfg": 7.0,
        "sampler": "k_lms",
        "width": 512,
        "height": 512,
        "user_name": "2a7b",
        "timestamp": "2022-08-07 22:57:00.000000",
        "image_nsfw": 0.25,
        "prompt_nsfw": None,
    }


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"prompt": ["a"]}, "of bytes, or of struct<bytes, path>, or a column of paths, found prompt"),
        ({"a": [PNG], "b": [PNG], "prompt": ["a"]}, "expected one column 'image' of bytes"),
        ({"image": [PNG], "words": ["a"]}, "of prompts in 'prompt', 'text', 'caption', 'title', found image"),
        ({"image": [PNG], "prompt": [{"a": 1}]}, "expected a column of prompts"),
    ],
)
def test_wrong_columns(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    path = write(tmp_path / "a.parquet", **columns)
    fault = fault_of(path)
    assert (fault.kind, fault.where) == ("wrong-columns", str(path))
    assert said in fault.message


@pytest.mark.parametrize(
    ("columns", "kind", "said"),
    [
        ({"prompt": ["a", None, "a"]}, "empty-prompt", "found an empty one"),
        ({"prompt": [1, 2, 3]}, "broken-record", "expected 'prompt' to be a text, found 1"),
        ({"prompt": ["a"] * 3, "group": [1.5, None, None]}, "broken-record", "expected 'group' to be a whole number"),
        ({"prompt": ["a"] * 3, "captions": [["a"], [None], None]}, "broken-record", "'captions' to be a list of texts"),
        ({"prompt": ["a", "b" * 2_000_000, "c"]}, "broken-record", "at most 1 MB of them"),
        ({"prompt": ["a"] * 3, "captions": [[], ["b"] * 200_000, []]}, "broken-record", "at most 1 MB of them"),
    ],
)
def test_broken_rows(tmp_path: Path, columns: dict[str, Any], kind: str, said: str) -> None:
    path = write(tmp_path / "a.parquet", image=[PNG] * 3, **columns)
    faults = [item for item in read_pairs(path) if isinstance(item, Fault)]
    assert {fault.kind for fault in faults} == {kind}
    assert said in faults[0].message
    assert len(faults) == 1 if len(faults) < 3 else faults[0].where == f"{path}, row 0"


def test_texts_that_are_not_utf_8(tmp_path: Path) -> None:
    texts = pyarrow.array([b"a", b"\xff", b"b"], pyarrow.binary()).cast(pyarrow.string(), safe=False)
    first, fault, last = read_pairs(write(tmp_path / "a.parquet", image=[PNG] * 3, prompt=texts))
    assert isinstance(first, Pair)
    assert isinstance(last, Pair)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.where) == ("broken-record", f"{tmp_path}/a.parquet, row 1")


def test_missing_bytes(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", [{**row, "picture": None} for row in records(3)])
    assert dict(checked_pairs(path, skip_bad=True, decode=False)[1]) == {}
    (pair, *_rest) = read_pairs(path)
    assert isinstance(pair, Pair)
    with pytest.raises(PictureError, match="expected a picture's bytes, found none"):
        pair.picture.read()


@pytest.mark.parametrize("how", ["text", "cut", "empty", "middle"])
def test_broken_files(tmp_path: Path, how: str) -> None:
    write_parquet(tmp_path / "b.parquet", records(3))
    path = write_parquet(tmp_path / "a.parquet", records(3))
    data = path.read_bytes()
    middle = data[:4] + bytes(80) + data[84:]
    path.write_bytes({"text": b"text", "cut": data[:-9], "empty": b"", "middle": middle}[how])
    pairs, faults = checked_pairs(f"{tmp_path}/*.parquet", skip_bad=True)
    assert len(pairs) >= 3
    assert faults["broken-file"] == 1


def test_a_file_that_ends_anywhere_is_a_fault(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", records(3))
    data = path.read_bytes()
    for length in [*range(0, len(data) - 40, 20), *range(len(data) - 40, len(data))]:
        path.write_bytes(data[:length])
        assert fault_of(path).kind == "broken-file"


def test_a_picture_costs_its_row_group_alone(tmp_path: Path) -> None:
    """Whatever else of the file is damaged by then."""
    path = write_parquet(tmp_path / "a.parquet", records(6), group_rows=2)
    pairs = list(read_pairs(path))
    before = path.stat()
    data = bytearray(path.read_bytes())
    at = data.index(records(6)[4]["picture"]) - 64
    data[4:at] = bytes(at - 4)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    last, first = pairs[5], pairs[0]
    assert isinstance(last, Pair)
    assert isinstance(first, Pair)
    assert last.picture.read() == records(6)[5]["picture"]
    with pytest.raises(PictureError, match="expected a whole parquet file"):
        first.picture.read()


def test_a_file_that_changes(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", records(6))
    pair = next(iter(read_pairs(path)))
    assert isinstance(pair, Pair)
    write_parquet(path, records(5))
    with pytest.raises(PictureError, match="changed while it was read"):
        pair.picture.read()


def test_row_groups_that_are_too_large_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    read_row_group = parquet.ParquetFile.read_row_group

    def noted(table: Any, group: int, **options: Any) -> Any:
        read.append(group)
        return read_row_group(table, group, **options)

    monkeypatch.setattr(parquet.ParquetFile, "read_row_group", noted)
    pair = next(iter(read_pairs(write_parquet(tmp_path / "a.parquet", records(6)))))
    assert isinstance(pair, Pair)
    assert isinstance(pair.picture.content, ParquetPicture)
    with pytest.raises(PictureError, match=r"at most 0.0001 MB, .*; write the file again with row_group_size=100"):
        RowGroups(group_limit_mb=0.0001).cell(pair.picture.content)
    assert read == []
    assert RowGroups(group_limit_mb=1).cell(pair.picture.content) == records(1)[0]["picture"]
    assert read == [0]


def test_a_value_that_many_rows_share_is_held_once(tmp_path: Path) -> None:
    """200 MB of prompts and as many of pictures, in a file of some KB."""
    indices = pyarrow.array([0] * 100, pyarrow.int32())
    path = tmp_path / "shared.parquet"
    text = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(["a" * 2_000_000]))
    image = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array([PNG + bytes(2_000_000)]))
    parquet.write_table(pyarrow.table({"prompt": text, "image": image}), path, store_schema=False)
    assert {item.kind for item in read_pairs(path) if isinstance(item, Fault)} == {"broken-record"}

    good = tmp_path / "good.parquet"
    parquet.write_table(pyarrow.table({"prompt": ["a"] * 100, "image": image}), good, store_schema=False)
    pair = next(iter(read_pairs(good)))
    assert isinstance(pair, Pair)
    assert len(pair.picture.read()) == len(PNG) + 2_000_000
    assert pyarrow.default_memory_pool().max_memory() < 100_000_000


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "a.parquet", records(1))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"unprompt\[parquet\]"):
        next(iter(read_pairs(path)))


@pytest.mark.parametrize("name", ["a.png", "{}/a.png"])
def test_a_file_that_names_its_pictures(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    path = tmp_path / "paths.parquet"
    parquet.write_table(pyarrow.table({"image": [name.format(tmp_path), "../b.png"], "text": ["a", "b"]}), path)
    pair, fault = read_pairs(path)
    assert isinstance(pair, Pair)
    assert isinstance(fault, Fault)
    assert (pair.name, pair.prompt, pair.picture.read()) == ("a.png", "a", PNG)
    assert (fault.kind, fault.where) == ("outside-folder", f"{path}, row 1")


def test_a_path_where_bytes_should_be(tmp_path: Path) -> None:
    cells = pyarrow.array(
        [{"bytes": None, "path": "a.png"}], pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    )
    parquet.write_table(pyarrow.table({"image": cells, "text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"missing-file: .* embed the pictures first: .*embed_table_storage"):
        checked_pairs(tmp_path / "a.parquet")
