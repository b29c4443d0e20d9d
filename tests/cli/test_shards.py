"""`--shards` and `merge`: parts by several workers are, put together, what one process writes."""

import json
import os
import shlex
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from kills import make_pictures

Unprompt = Callable[..., Any]


def make_sources(folder: Path, count: int) -> list[Path]:
    """Pictures of all kinds in a folder, a tar within it, a zipped tar beside it, and an empty folder."""
    pictures = make_pictures(folder / "pictures", count)
    with tarfile.open(pictures / "some.tar", "w") as tar:
        for path in sorted(pictures.rglob("*.*g"))[:5]:
            tar.add(path, path.name)
    with tarfile.open(folder / "zipped.tar.gz", "w:gz") as tar:
        for path in sorted(pictures.rglob("*.webp"))[:4]:
            tar.add(path, path.name)
    (folder / "empty").mkdir()
    return [pictures, folder / "zipped.tar.gz", folder / "empty"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_sources(tmp_path_factory.mktemp("sources"), 14)


@pytest.fixture
def options(preset: Path) -> tuple[object, ...]:
    return ("--preset", preset, "--no-text", "--quiet")


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("more", [("--embedding", "--ignore-metadata"), ("--template", "{name} of {folder}")])
def test_the_parts_are_what_one_process_writes(
    unprompt: Unprompt, sources: list[Path], options: tuple[object, ...], tmp_path: Path, more: tuple[str, ...]
) -> None:
    one, out, merged = tmp_path / "one.jsonl", tmp_path / "out", tmp_path / "all.jsonl"
    assert unprompt(*sources, *options, *more, "-o", one).code == 3
    for shard in (2, 0, 1):
        assert unprompt(*sources, *options, *more, "--shards", 3, "--shard", shard, "-o", out).code in (0, 3)
    run = unprompt("merge", out, "-o", merged)
    assert run.code == 3
    assert merged.read_bytes() == one.read_bytes()
    count = len(records(one))
    assert run.err.splitlines()[-1].startswith(f"unprompt: {count} of {count} pictures: ")
    for shard in range(3):
        part = records(out / "parts" / f"shard-{shard:05}.jsonl")
        assert [record["position"] for record in part] == list(range(shard, count, 3))
    assert unprompt("merge", out, "--quiet").out == one.read_text(encoding="utf-8")
    assert sorted(os.listdir(out)) == ["parts", "run.json"]

    assert unprompt("merge", out, "--positions", "-o", merged, "--overwrite", "--quiet").code == 3
    found = records(merged)
    assert [record.pop("position") for record in found] == list(range(count))
    assert found == records(one)


def test_sentences_are_the_same(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    pictures = tiny_models.pictures(tmp_path / "pictures", 2)
    command = (*pictures, "--preset", preset, "--top", 2, "--quiet", "-o")
    unprompt(*command, tmp_path / "one.jsonl")
    unprompt(*command, tmp_path / "out", "--shards", 2, "--shard", "auto")
    assert unprompt("merge", tmp_path / "out", "--quiet").out == (tmp_path / "one.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("format", ["csv", "json", "txt", "parquet"])
def test_other_formats_are_made_when_parts_are_merged(
    unprompt: Unprompt, sources: list[Path], options: tuple[object, ...], tmp_path: Path, format: str
) -> None:
    more = ("--embedding", "--template", "{name}", "--suffix", ", sharp")
    one, out, merged = tmp_path / f"one.{format}", tmp_path / "out", tmp_path / f"all.{format}"
    unprompt(*sources, *options, *more, "-o", one)
    unprompt(*sources, *options, *more, "--shards", 2, "--shard", "auto", "-o", out)
    assert unprompt("merge", out, "-o", merged).code == 3
    if format == "parquet":
        from pyarrow import parquet

        assert parquet.read_table(merged).equals(parquet.read_table(one))
    else:
        assert merged.read_bytes() == one.read_bytes()


def test_what_is_missing_is_said_with_the_command_that_computes_it(
    unprompt: Unprompt, sources: list[Path], options: tuple[object, ...], tmp_path: Path
) -> None:
    one, out, merged = tmp_path / "one.jsonl", tmp_path / "out", tmp_path / "all.jsonl"
    unprompt(*sources, *options, "-o", one)
    unprompt(*sources, *options, "--shards", 3, "--shard=1", "-o", out)
    run = unprompt("merge", out, "-o", merged)
    assert (run.code, run.out, len(run.err.splitlines())) == (2, "", 1)
    assert "found 1: shard 0, 2 missing; compute with: unprompt " in run.err
    assert not merged.exists()

    assert unprompt("merge", out, "-o", merged, "--partial").code == 3
    assert merged.read_text().splitlines() == one.read_text().splitlines()[1::3]

    command = shlex.split(unprompt("merge", out).err.strip().partition("compute with: ")[2])
    assert command[-1] == "auto"
    unprompt(*command[1:-1], "2")
    run = unprompt("merge", out)
    assert "found 2: shard 0 missing" in run.err
    command = shlex.split(run.err.strip().partition("compute with: ")[2])
    assert unprompt(*command[1:]).code == 3
    assert unprompt("merge", out, "-o", merged).code == 2
    assert unprompt("merge", out, "-o", merged, "--overwrite").code == 3
    assert merged.read_bytes() == one.read_bytes()


def test_what_is_finished_is_not_computed_again(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    pictures = tiny_models.pictures(tmp_path / "pictures", 5)
    command = (*pictures, "--preset", preset, "--no-text", "-o", tmp_path / "out")
    said = unprompt(*command, "--shards", 2, "--shard", "auto").err.splitlines()
    assert said[:2] == ["unprompt: 5 pictures", "unprompt: 2 shards; 2 of 2 to do"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "parts").iterdir()}
    run = unprompt(*command, "--shard", "auto")  # their number is known by now
    assert run.code == 0
    assert "0 of 2 to do" in run.err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert unprompt("merge", tmp_path / "out").code == 0


BAD = [
    (("--shards", "3"), "add --shard 0 to 2, or auto"),
    (("--shard", "1"), "say how many shards there are"),
    (("--shards", "3", "--shard", "3"), "expected --shard from 0 to 2, or auto, found 3"),
    (("--shards", "3", "--shard", "-1"), "found -1"),
    (("--shards", "3", "--shard", "all"), "found all"),
    (("--shards", "3", "--shard", "0", "--format", "csv"), "give that to 'unprompt merge'"),
    (("--shards", "3", "--shard", "0", "--sidecar"), "omit --sidecar"),
    (("--shards", "3", "--shard", "0", "--vectors", "v.npy"), "--embedding"),
    (("-", "--shards", "3", "--shard", "0"), "write the list to a file"),
    (("@/dev/fd/9", "--shards", "3", "--shard", "0"), "write the list to a file"),
]


@pytest.mark.parametrize(("more", "said"), BAD, ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_what_cannot_be_divided_is_one_error(
    unprompt: Unprompt, preset: Path, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    (picture,) = tiny_models.pictures(tmp_path / "pictures", 1)
    run = unprompt(picture, "--preset", preset, "-o", tmp_path / "out", *more)
    assert (run.code, len(run.err.splitlines())) == (2, 1)
    assert said in run.err
    assert not (tmp_path / "out").exists()


def test_a_folder_is_needed(unprompt: Unprompt, preset: Path, tmp_path: Path, gone: Path) -> None:
    (picture,) = tiny_models.pictures(tmp_path / "pictures", 1)
    division = ("--preset", preset, "--shards", 2, "--shard", 0)
    assert "add -o FOLDER" in unprompt(picture, *division).err
    (tmp_path / "file").write_text("")
    assert "found the file" in unprompt(picture, *division, "-o", tmp_path / "file").err
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "a.txt").write_text("")
    assert "found a.txt" in unprompt(picture, *division, "-o", tmp_path / "else").err
    run = unprompt(gone, *division, "-o", tmp_path / "out")  # a picture that fails, as always
    assert run.code == 3
    (tmp_path / "empty").mkdir()
    run = unprompt(tmp_path / "empty", *division, "-o", tmp_path / "new")
    assert run.code == 2
    assert "no pictures in the folder" in run.err
    assert not (tmp_path / "new").exists()


def test_another_run_is_refused_before_anything_is_computed(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    tiny_models.pictures(pictures, 4)
    other = tiny_models.preset(tmp_path / "other.toml", tiny_models.regressor(tmp_path / "other.tiny", seed=1))
    command = (pictures, "--preset", preset, "--no-text", "-o", out, "--quiet")
    assert unprompt(*command, "--shards", 2, "--shard", 0).code == 0
    before = (out / "run.json").read_bytes()
    for more, said in (
        (("--shards", 4, "--shard", 1), "shards 2 there, 4 here"),
        (("--shards", 2, "--shard", 1, "--ignore-metadata"), "options.ignore_metadata False there, True here"),
        (("--shards", 2, "--shard", 1, "--preset", other), "model.preset_hash"),
        (("--shards", 2, "--shard", 1, "--lease-s", 7), "lease_s 120.0 there, 7.0 here"),
        (("--shards", 2, "--shard", 1, "--prefix", "a "), "options.phrasing"),
    ):
        run = unprompt(*command, *more)
        assert (run.code, len(run.err.splitlines())) == (2, 1)
        assert "holds another run: " in run.err
        assert said in run.err
    shutil.copy(next(pictures.iterdir()), pictures / "one-more.png")
    run = unprompt(*command, "--shards", 2, "--shard", 1)
    assert run.code == 2
    assert "its input is another, or in another order (4 there, 5 here)" in run.err
    (pictures / "one-more.png").unlink()
    assert unprompt(*command, "--shards", 2, "--shard", 1).code == 0
    assert (out / "run.json").read_bytes() == before


def test_only_the_folder_of_a_run_is_merged(unprompt: Unprompt, tmp_path: Path) -> None:
    assert "name the -o of a command with --shards" in unprompt("merge", tmp_path).err
    (tmp_path / "run.json").write_text('{"a": 1}')
    assert "found something else" in unprompt("merge", tmp_path).err


def test_positions_are_refused_where_they_have_no_place(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    (picture,) = tiny_models.pictures(tmp_path / "pictures", 1)
    unprompt(picture, "--preset", preset, "--no-text", "--shards", 1, "--shard", 0, "-o", tmp_path / "out")
    assert "found csv" in unprompt("merge", tmp_path / "out", "--positions", "-o", tmp_path / "a.csv").err
    part = tmp_path / "out" / "parts" / "shard-00000.jsonl"
    assert "than a part of the run" in unprompt("merge", tmp_path / "out", "-o", part).err
