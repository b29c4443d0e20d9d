import io
import json
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unprompt.errors import DataError, OutputBusyError
from unprompt.images.files import Bytes
from unprompt.images.ref import ImageRef
from unprompt.scale.ray.chunks import Chunk
from unprompt.scale.ray.parts import Form, Parts
from unprompt.scale.ray.rows import Row

PNG = io.BytesIO()
Image.new("RGB", (8, 8), "red").save(PNG, "PNG")


def chunk(first: int, count: int = 2) -> Chunk:
    return Chunk(first, tuple(ImageRef(f"{at}.png", Bytes(b"")) for at in range(first, first + count)))


def rows(of: Chunk, *, failing: Iterable[int] = ()) -> list[Row]:
    """An answer for each picture, in all the keys that a table has."""
    return [
        Row({"source": f"{at}.png", "error": {"kind": "unreadable", "message": "no picture"}})
        if at in failing
        else Row({"source": f"{at}.png", "prompt": f"a cat, {at}", "origin": "prediction"}, PNG.getvalue(), "PNG")
        for at in of.positions
    ]


def records(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "parts").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def write(folder: Path, *firsts: int, form: Form = "jsonl", finish: bool = True, **limits: int) -> Parts:
    with Parts(folder, form, **limits) as parts:
        for first in firsts:
            parts.add(chunk(first), rows(chunk(first), failing=[first] if first == 4 else []))
        if finish:
            parts.finish()
    return parts


def test_records_have_their_positions_first(tmp_path: Path) -> None:
    write(tmp_path, 2, 0)

    lines = (tmp_path / "parts" / "part-00000.jsonl").read_text().splitlines()
    assert lines[0] == '{"position": 2, "source": "2.png", "prompt": "a cat, 2", "origin": "prediction"}'
    assert [json.loads(line)["position"] for line in lines] == [2, 3, 0, 1]


def test_parts_are_finished_at_their_size(tmp_path: Path) -> None:
    write(tmp_path, 0, 2, 4, 6, 8, most_pictures=4)

    assert [len(path.read_text().splitlines()) for path in sorted((tmp_path / "parts").iterdir())] == [4, 4, 2]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "webdataset"])
@pytest.mark.parametrize("junk", ["", "log", "jsonl", "both"])
def test_a_driver_goes_on_where_a_killed_one_stopped(tmp_path: Path, form: Form, junk: str) -> None:
    write(tmp_path, 0, 4, 2, form=form, finish=False, most_pictures=4)
    for suffix in {"both": ["log", "jsonl"]}.get(junk, [junk] * bool(junk)):
        with next((tmp_path / ".work").glob(f"part-00001.{suffix}")).open("ab") as file:
            file.write(b"8 9 0 17" if suffix == "log" else b'{"position": 8, "sour')

    with Parts(tmp_path, form) as parts:
        assert parts.done == [range(6)]
        assert parts.failed == 1
        parts.add(chunk(6), rows(chunk(6)))
        parts.finish()

    assert sorted(record["position"] for record in records(tmp_path)) == list(range(8))
    if form == "webdataset":
        with tarfile.open(tmp_path / "webdataset" / "part-00001.tar") as tar:
            assert sorted(tar.getnames()) == sorted(
                f"{at:012}.{suffix}" for at in (2, 3, 6, 7) for suffix in ("json", "png", "txt")
            )
    if form == "parquet":
        from pyarrow import parquet

        assert parquet.read_table(tmp_path / "parquet")["position"].to_pylist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_a_log_that_outlived_its_records_in_a_power_cut_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path, 0, 2, finish=False)
    path = tmp_path / ".work" / "part-00000.jsonl"
    path.write_bytes(path.read_bytes()[:-5])

    with Parts(tmp_path, "jsonl") as parts:
        assert parts.done == [range(2)]
        parts.add(chunk(2), rows(chunk(2)))
        parts.finish()

    assert [record["position"] for record in records(tmp_path)] == [0, 1, 2, 3]


def test_a_kill_between_two_renamings_costs_nothing(tmp_path: Path) -> None:
    write(tmp_path, 0, form="webdataset")
    shutil.move(tmp_path / "parts" / "part-00000.jsonl", tmp_path / ".work")

    with Parts(tmp_path, "webdataset") as parts:
        assert parts.done == [range(2)]
        parts.finish()

    with tarfile.open(tmp_path / "webdataset" / "part-00000.tar") as tar:
        assert len(tar.getnames()) == 6
    assert len(records(tmp_path)) == 2


def test_a_sample_is_the_picture_with_its_prompt_and_a_failure_its_record_alone(tmp_path: Path) -> None:
    write(tmp_path, 4, form="webdataset")

    with tarfile.open(tmp_path / "webdataset" / "part-00000.tar") as tar:
        contents = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    assert contents.keys() == {"000000000004.json", *(f"000000000005.{kind}" for kind in ("json", "png", "txt"))}
    assert contents["000000000005.png"] == PNG.getvalue()
    assert contents["000000000005.txt"] == b"a cat, 5"
    assert json.loads(contents["000000000004.json"])["error"]["kind"] == "unreadable"


def test_one_driver_at_a_time_has_the_folder(tmp_path: Path) -> None:
    with Parts(tmp_path, "jsonl"), pytest.raises(OutputBusyError, match="another unprompt"):
        Parts(tmp_path, "jsonl").__enter__()


def test_a_folder_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    (tmp_path / ".work").write_text("")

    with pytest.raises(DataError, match="cannot write"):
        Parts(tmp_path, "jsonl").__enter__()
