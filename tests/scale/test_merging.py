"""Parts in the order of the input, each picture once, whatever the parts look like."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from unprompt.errors import DataError
from unprompt.output.jsonl import to_json
from unprompt.scale import merging
from unprompt.scale.merging import Missing, merged, missing_shards, parts_of
from unprompt.scale.runs import Run


def run_of(pictures: int, shards: int | None) -> Run:
    return Run(shards, 120.0, pictures, "", {}, {})


def record(position: int) -> dict[str, Any]:
    if position % 5 == 3:
        return {"source": f'a "{position}', "error": {"kind": "truncated", "message": "\\"}}
    return {"source": f"\udcff\u2028 {position}", "prompt": f'{position}, "error": ' + "x" * (position % 40)}


def write_part(folder: Path, name: str, positions: Iterable[int]) -> Path:
    path = folder / "parts" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    lines = [to_json({"position": position, **record(position)}) + "\n" for position in positions]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def write_shards(folder: Path, pictures: int, shards: int) -> Run:
    for shard in range(shards):
        write_part(folder, f"shard-{shard:05}", range(shard, pictures, shards))
    return run_of(pictures, shards)


def merge(folder: Path, run: Run) -> tuple[list[bytes], Missing]:
    missing = Missing()
    return [placed.line for placed in merged(parts_of(folder, run), run, missing)], missing


def expected(positions: Iterable[int]) -> list[bytes]:
    return [to_json(record(position)).encode() for position in positions]


@pytest.mark.parametrize(("pictures", "shards"), [(1, 1), (5, 8), (200, 1), (200, 3), (203, 7)])
def test_shards_are_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: int, shards: int) -> None:
    monkeypatch.setattr(merging, "_MOST_BYTES", 100)  # lines run over the ends of what is read at once
    monkeypatch.setattr(merging, "_LEAST_BYTES", 7)
    lines, missing = merge(tmp_path, write_shards(tmp_path, pictures, shards))
    assert lines == expected(range(pictures))
    assert missing.count == 0


def test_more_parts_than_a_process_may_open(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    run = write_shards(tmp_path, 300, 150)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    try:
        assert merge(tmp_path, run)[0] == expected(range(300))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_failures_are_told_from_answers_that_speak_of_errors(tmp_path: Path) -> None:
    run = write_shards(tmp_path, 50, 2)
    failed = [placed.position for placed in merged(parts_of(tmp_path, run), run, Missing()) if placed.is_failure]
    assert failed == list(range(3, 50, 5))


def test_parts_in_any_order_are_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "PIECE_BYTES", 500)  # many pieces
    positions = list(range(120))
    random.Random(3).shuffle(positions)
    write_part(tmp_path, "b", positions[:50])
    write_part(tmp_path, "a", positions[50:])
    lines, missing = merge(tmp_path, run_of(120, None))
    assert lines == expected(range(120))
    assert missing.count == 0


def test_records_of_another_writer_become_ours(tmp_path: Path) -> None:
    path = write_part(tmp_path, "a", [])
    rows = [json.dumps({**record(position), "position": position}) for position in range(7)]
    path.write_text("\n".join(rows) + "\n")
    assert merge(tmp_path, run_of(7, None))[0] == expected(range(7))


def test_what_is_missing_is_counted(tmp_path: Path) -> None:
    run = write_shards(tmp_path, 40, 4)
    (tmp_path / "parts" / "shard-00002.jsonl").unlink()
    write_part(tmp_path, "shard-00001", range(1, 30, 4))
    lines, missing = merge(tmp_path, run)
    assert missing_shards(tmp_path, run) == [2]
    there = [position for position in range(40) if position % 4 != 2 and not (position % 4 == 1 and position >= 30)]
    assert lines == expected(there)
    assert (missing.count, missing.first) == (12, (2, 6, 10, 14, 18))


@pytest.mark.parametrize(
    ("name", "positions", "said"),
    [
        ("shard-00001", [1, 5, 5, 9], "to ascend, found 5 after 5"),
        ("shard-00001", [9, 5], "to ascend, found 5 after 9"),
        ("shard-00001", [1, 4], "found position 4 in .* and again in "),
        ("shard-00001", [1, 40], "expected positions below 40, found 40"),
    ],
)
def test_what_stands_twice_or_elsewhere_is_an_error(tmp_path: Path, name: str, positions: list[int], said: str) -> None:
    run = write_shards(tmp_path, 40, 4)
    write_part(tmp_path, name, positions)
    with pytest.raises(DataError, match=said):
        merge(tmp_path, run)


def test_a_picture_that_stands_in_two_parts_of_an_engine(tmp_path: Path) -> None:
    write_part(tmp_path, "a", [0, 2])
    write_part(tmp_path, "b", [1, 2])
    with pytest.raises(DataError, match="found position 2 in "):
        merge(tmp_path, run_of(3, None))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-1], "a last one that ends early"),
        (lambda data: data[:-40] + b"\n", "found another line 10 in"),
        (lambda data: b"\n" + data, "found another line 1 in"),
        (lambda data: b'{"position": -3, "source": "a"}\n' + data, "found another line 1 in"),
        (lambda data: b'{"source": "a"}\n' + data, "found another line 1 in"),
        (lambda data: b"[" * 100_000 + b"\n" + data, "found another line 1 in"),
        (lambda data: b"\xff\x00\n" + data, "found another line 1 in"),
    ],
)
def test_damaged_parts_are_named(tmp_path: Path, damage: Any, said: str) -> None:
    run = write_shards(tmp_path, 40, 4)
    path = tmp_path / "parts" / "shard-00001.jsonl"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=said) as error:
        merge(tmp_path, run)
    assert "shard-00001.jsonl" in str(error.value)
