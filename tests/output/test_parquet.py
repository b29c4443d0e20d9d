"""Parquet files, read back with pyarrow."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disks import largest_file

from unprompt.errors import DataError, MissingExtraError, OutputBusyError
from unprompt.output.formats import open_writer
from unprompt.output.parquet import GROUP_ROWS, ParquetWriter

parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra [parquet]")

VECTOR = np.random.default_rng(0).standard_normal(384).astype(np.float32)
ANSWER: dict[str, Any] = {
    "source": "b\udcff.png",
    "prompt": "a\x1b \x00 \ud800 猫",
    "text": "photo of a cat",
    "origin": "metadata",
    "confidence": {"estimate": 0.52, "low": 0.35, "high": 0.66},
    "concepts": [{"name": "castle \ud800", "probability": 0.83}, {"name": "oil painting", "probability": 0.41}],
    "self_similarity": 0.123457,
    "similarity": 0.123457,
    "candidates": [{"text": "a cat", "similarity": 0.5, "from": "decoder"}],
    "votes": [{"member": "regressor", "weight": 1.0}],
    "tool": "AUTOMATIC1111",
    "certainty": "ambiguous",
    "settings": {"Seed": 1, "text": "\ud800"},
    "resources": [{"kind": "lora", "name": "cats"}],
    "texts": [{"role": "region", "text": "a roof"}],
    "model": {"missing": {"captioner": "not here \ud800"}},
    "embedding": VECTOR.tolist(),
}
FAILED = {"source": "a.png", "error": {"kind": "truncated", "message": "it ends early"}}


def written(path: Path, records: Iterable[dict[str, Any]], **columns: bool) -> list[dict[str, Any]]:
    with open_writer("parquet", str(path), str, **columns) as writer:
        for record in records:
            writer.write(record)
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def test_a_row_a_record(tmp_path: Path) -> None:
    answer, failure = written(tmp_path / "a.parquet", [ANSWER, FAILED], text=True, embedding=True)
    assert np.array_equal(np.array(answer.pop("embedding"), np.float32), VECTOR)
    assert json.loads(answer.pop("missing")) == ANSWER["model"]["missing"]
    nested = ("settings", "resources", "texts", "candidates", "votes")
    assert {name: json.loads(answer.pop(name)) for name in nested} == {name: ANSWER[name] for name in nested}
    assert answer == {
        "source": "b\\udcff.png",
        "prompt": "a\x1b \x00 \\ud800 猫",
        "text": "photo of a cat",
        "origin": "metadata",
        "confidence": 0.52,
        "confidence_low": 0.35,
        "confidence_high": 0.66,
        "concepts": [
            {"name": "castle \\ud800", "probability": 0.83, "category": None},
            {"name": "oil painting", "probability": 0.41, "category": None},
        ],
        "self_similarity": 0.123457,
        "tool": "AUTOMATIC1111",
        "certainty": "ambiguous",
        "negative_prompt": None,
        "note": None,
        "error_kind": None,
        "error_message": None,
    }
    assert {name: value for name, value in failure.items() if value is not None} == {
        "source": "a.png",
        "error_kind": "truncated",
        "error_message": "it ends early",
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


def test_types_are_the_same_whatever_is_in_it(tmp_path: Path) -> None:
    assert written(tmp_path / "empty.parquet", [], embedding=True) == []
    written(tmp_path / "failed.parquet", [FAILED], embedding=True)
    empty = parquet.read_schema(tmp_path / "empty.parquet")
    assert empty.equals(parquet.read_schema(tmp_path / "failed.parquet"))
    assert str(empty.field("self_similarity").type) == str(empty.field("confidence").type) == "double"
    assert str(empty.field("embedding").type) == "fixed_size_list<element: float>[384]"
    assert "text" not in empty.names


def test_groups_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    answers = [{"source": str(number), "prompt": ""} for number in range(2 * GROUP_ROWS + 1)]
    large = {"source": "large", "prompt": "x" * 5_000_000}
    rows = written(path, [*answers, large, large, FAILED])
    assert [row["source"] for row in rows[: len(answers)]] == [answer["source"] for answer in answers]
    groups = parquet.ParquetFile(path).metadata
    assert [groups.row_group(place).num_rows for place in range(groups.num_row_groups)] == [1000, 1000, 3, 1]


def test_an_interrupted_run_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"

    def records() -> Iterator[dict[str, Any]]:
        yield FAILED
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(path, records())
    assert len(parquet.read_table(path)) == 1


def test_what_lay_there_stays_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    written(path, [FAILED])
    path.chmod(0o640)
    (tmp_path / ".a.parquet.part").write_bytes(b"what a killed run left" * 1000)
    link = tmp_path / "link.parquet"
    link.symlink_to("a.parquet")
    with open_writer("parquet", str(link), str) as writer:
        for _ in range(2 * GROUP_ROWS):
            writer.write(FAILED)
        assert len(parquet.read_table(path)) == 1
    assert len(parquet.read_table(path)) == 2 * GROUP_ROWS
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640


def test_one_file_has_one_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "a.parquet")
    with open_writer("parquet", path, str), pytest.raises(OutputBusyError, match="another unprompt"):
        ParquetWriter(path)
    assert len(parquet.read_table(path)) == 0


def test_a_full_disk_leaves_what_lay_there(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    written(path, [FAILED])
    noise = np.random.default_rng(0).bytes(2000).hex()
    answers = [{"source": "a.png", "prompt": noise[start:]} for start in range(2 * GROUP_ROWS)]
    with largest_file(10_000), pytest.raises(DataError, match=r"a\.parquet: File too large; free some space"):
        written(path, answers)
    assert len(parquet.read_table(path)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("name", ["a.png", "nowhere/a.parquet", "folder"])
def test_places_for_no_parquet(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"a picture|make it first|plain file"):
        ParquetWriter(str(tmp_path / name))
    assert os.listdir(tmp_path) == ["folder"]


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unprompt\[parquet\]'"):
        ParquetWriter(str(tmp_path / "a.parquet"))
    assert not list(tmp_path.iterdir())
