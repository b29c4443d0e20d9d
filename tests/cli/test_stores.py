"""Pictures from an object store, answers into one: what is written, what is kept, what is said when it cannot be."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cli.conftest import Run
from PIL import Image

if TYPE_CHECKING:
    from object_stores import ObjectStore

Unprompt = Callable[..., Run]

pytest.importorskip("s3fs")

DENIED = ("403 Forbidden", b"<Error><Code>AccessDenied</Code><Message>word</Message></Error>")


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def pictures(store: ObjectStore) -> ObjectStore:
    store.put({f"in/{number}.png": picture(number) for number in range(6)})
    store.put({"in/3.png": b"broken"})
    return store


def records(data: bytes | None) -> list[dict[str, Any]]:
    assert data is not None
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.json", "out.parquet", "out.txt", "out.html"])
def test_an_answer_is_the_same_wherever_it_is_written(
    pictures: ObjectStore, unprompt: Unprompt, preset: Path, tmp_path: Path, name: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    asked = ("s3://pictures/in", "--preset", preset, *([] if name == "out.txt" else ["--no-text"]))
    local = unprompt(*asked, "-o", tmp_path / name)
    stored = unprompt(*asked, "-o", f"s3://pictures/out/{name}")

    assert (local.code, stored.code) == (3, 3)
    assert pictures.get(f"out/{name}") == (tmp_path / name).read_bytes()
    assert [key for key in pictures.names() if "journal" in key] == []


def test_each_picture_is_read_once(pictures: ObjectStore, unprompt: Unprompt, preset: Path) -> None:
    unprompt("s3://pictures/in", "--preset", preset, "--no-text", "-o", "s3://pictures/out.jsonl")
    assert [pictures.asked_for(f"/pictures/in/{number}.png") for number in range(6)] == [1] * 6


def test_failures_and_vectors_go_to_the_store_too(pictures: ObjectStore, unprompt: Unprompt, preset: Path) -> None:
    places = ("--failures", "s3://pictures/out/f.jsonl", "--vectors", "s3://pictures/out/v.npy")
    run = unprompt("s3://pictures/in", "--preset", preset, "--no-text", "-o", "s3://pictures/out/a.jsonl", *places)
    assert run.code == 3
    [failure] = records(pictures.get("out/f.jsonl"))
    assert (failure["source"], failure["error"]["kind"]) == ("s3://pictures/in/3.png", "not-a-picture")
    assert np.load(io.BytesIO(pictures.get("out/v.npy") or b"")).shape == (5, 384)
    assert len(records(pictures.get("out/v.sources.jsonl"))) == 5


def test_an_interrupted_run_goes_on_and_the_old_output_stays_until_the_end(
    pictures: ObjectStore, unprompt: Unprompt, preset: Path, tmp_path: Path
) -> None:
    pictures.put({"out.jsonl": b"old"})
    asked = ("s3://pictures/in", "--preset", preset, "--no-text", "--batch-size", 1)
    assert "--overwrite to replace it" in unprompt(*asked, "-o", "s3://pictures/out.jsonl").err
    first = unprompt(*asked, "-o", "s3://pictures/out.jsonl", "--overwrite", "--fail-fast")
    assert first.code == 3
    assert pictures.get("out.jsonl") == b"old"
    assert [key for key in pictures.names() if key.startswith("out.jsonl.journal/")] != []

    again = unprompt(*asked, "-o", "s3://pictures/out.jsonl", "--overwrite")
    assert again.code == 2
    assert "answers of an earlier run are in s3://pictures/out.jsonl.journal" in again.err

    unprompt(*asked, "-o", "s3://pictures/out.jsonl", "--resume")
    unprompt(*asked, "-o", tmp_path / "out.jsonl")
    assert pictures.get("out.jsonl") == (tmp_path / "out.jsonl").read_bytes()


@pytest.mark.slow
def test_a_killed_run_loses_no_answer_that_was_in_the_store(
    pictures: ObjectStore, unprompt: Unprompt, preset: Path, tmp_path: Path
) -> None:
    """The last picture takes long, so that the others are answered and stored when the process is killed."""
    pictures.slow_s["/pictures/in/5.png"] = 60
    asked = ("s3://pictures/in", "--preset", str(preset), "--no-text", "--batch-size", "1")
    output = "s3://pictures/out.jsonl"
    program = (
        "import sys, unprompt.output.stored_journal as j; j.PART_BYTES = 1; "
        "from unprompt.cli.main import main; sys.exit(main())"
    )
    process = subprocess.Popen([sys.executable, "-c", program, *asked, "-o", output], env=os.environ.copy())
    try:
        deadline_s = time.monotonic() + 300
        while len([key for key in pictures.names() if ".journal/" in key]) < 4 and time.monotonic() < deadline_s:
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = [key for key in pictures.names() if ".journal/" in key]
    assert len(kept) >= 4
    assert pictures.get("out.jsonl") is None

    pictures.slow_s.clear()
    assert unprompt(*asked, "-o", output, "--resume").code == 3
    unprompt(*asked, "-o", tmp_path / "out.jsonl")
    assert pictures.get("out.jsonl") == (tmp_path / "out.jsonl").read_bytes()


def test_sidecars_go_into_a_store_and_are_skipped_there(
    pictures: ObjectStore, unprompt: Unprompt, preset: Path
) -> None:
    asked = ("s3://pictures/in", "--preset", preset, "--no-text", "--sidecar", "--template", "{name}", "-o")
    pictures.put({"tags/0.txt": b"mine"})
    assert unprompt(*asked, "s3://pictures/tags").code == 3
    assert [pictures.get(f"tags/{number}.txt") for number in range(3)] == [b"mine", b"1", b"2"]
    pictures.asked.clear()
    assert "5 skipped" in unprompt(*asked, "s3://pictures/tags").err
    assert sum(pictures.asked_for(f"/pictures/in/{number}.png") for number in (0, 1, 2, 4, 5)) == 0
    pictures.put({"new/0.caption": b"mine", "new/1.json": b'{"caption": "mine"}', "new/2.json": b"[]"})
    assert "skipped for a sidecar of another kind: 1 .caption, 1 .json" in unprompt(*asked, "s3://pictures/new").err
    assert [pictures.get(f"new/{number}.txt") for number in range(3)] == [None, None, b"2"]
    refused = unprompt(*asked, "s3://pictures/tags", "--existing", "append")
    assert (refused.code, "write the sidecars to a folder on this machine" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("inputs", "output", "said"),
    [
        ("s3://gone/in", "s3://pictures/out.jsonl", "expected s3://gone/in to be listed, found none by this name"),
        ("s3://pictures/in", "s3://gone/out.jsonl", "expected s3://gone/out.jsonl.journal"),
        ("s3://pictures/in", "s3://pictures/shut/out.jsonl", "to be writable, found that it may not be accessed"),
        ("s3://pictures/in", "s3://pictures/out/", "add its name, as in out.jsonl"),
        ("s3://pictures/in", "s3://pictures/out.png", "would overwrite a picture"),
        ("s4://pictures/in", "out.jsonl", "unknown scheme of addresses 's4'"),
    ],
)
def test_what_cannot_be_done_is_one_error_before_any_picture(
    pictures: ObjectStore, unprompt: Unprompt, preset: Path, inputs: str, output: str, said: str
) -> None:
    pictures.refuses_writes_below = "/pictures/shut/"
    run = unprompt(inputs, "--preset", preset, "--no-text", "-o", output)
    *_, last = run.err.splitlines()
    assert (run.code, said in last) == (2, True)
    assert pictures.asked_for("/pictures/in/0.png") == 0
    assert "testing-secret-word" not in run.err


@pytest.mark.usefixtures("fresh_clients")
def test_missing_credentials_are_one_error(
    pictures: ObjectStore, unprompt: Unprompt, preset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for asked in ("s3://pictures/in", "s3://pictures/in/1.png"):
        run = unprompt(asked, "--preset", preset, "--format", "jsonl", "--no-text")
        assert (run.code, run.out, "set AWS_PROFILE" in run.err) == (2, "", True)
    assert not pictures.asked


def test_credentials_that_run_out_end_the_run_and_it_goes_on_later(
    pictures: ObjectStore, unprompt: Unprompt, preset: Path
) -> None:
    expired = ("400 Bad Request", b"<Error><Code>ExpiredToken</Code></Error>")
    pictures.refused["/pictures/in/2.png"] = expired
    asked = ("s3://pictures/in", "--preset", preset, "--no-text", "--batch-size", 1, "-o", "s3://pictures/out.jsonl")
    run = unprompt(*asked)
    assert (run.code, "expected credentials for an object at s3://pictures/in/2.png" in run.err) == (2, True)
    pictures.refused.clear()
    assert unprompt(*asked, "--resume").code == 3
    assert len(records(pictures.get("out.jsonl"))) == 6


def test_metadata_is_read_from_a_store_and_written_to_one(
    pictures: ObjectStore, unprompt: Unprompt, examples: Path
) -> None:
    run = unprompt("metadata", "s3://pictures/in", "-o", "s3://pictures/said.jsonl")
    assert run.code == 3
    assert [record["source"] for record in records(pictures.get("said.jsonl"))] == [
        f"s3://pictures/in/{number}.png" for number in range(6)
    ]


@pytest.mark.parametrize(
    "asked",
    [
        ("metadata", "s3://pictures/in/0.png", "--workflow", "s3://pictures/graph.json"),
        ("metadata", "s3://pictures/in/0.png", "--strip", "-o", "s3://pictures/copies"),
        ("bank", "build", "prompts.txt", "-o", "s3://pictures/bank"),
        ("train", "recipe.toml", "-o", "s3://pictures/run"),
    ],
)
def test_other_files_are_not_written_to_stores(
    pictures: ObjectStore, unprompt: Unprompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = unprompt(*asked)
    assert (run.code, "expected a path on this machine" in run.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_five_thousand_objects_some_of_them_bad(
    store: ObjectStore, unprompt: Unprompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of a thousand; every 500th is slow, busy, denied, gone or broken; one request for each."""
    names = [f"many/{number:04}.png" for number in range(5000)]
    png = picture(0)
    store.put({name: b"broken" if place % 500 == 4 else png for place, name in enumerate(names)})
    for place in range(0, 5000, 500):
        store.slow_s[f"/pictures/{names[place]}"] = 0.2
        store.busy[f"/pictures/{names[place + 1]}"] = 1
        store.refused[f"/pictures/{names[place + 2]}"] = DENIED
        store.refused[f"/pictures/{names[place + 3]}"] = ("404 Not Found", b"")

    run = unprompt("metadata", "s3://pictures/many", "-o", "s3://pictures/said.jsonl", "--no-beside")

    assert run.code == 3
    found = records(store.get("said.jsonl"))
    assert [record["source"] for record in found] == [f"s3://pictures/{name}" for name in names]
    kinds = [record.get("error", {}).get("kind") for record in found]
    assert [kinds.count(kind) for kind in ("unreadable", "not-found", "not-a-picture")] == [10, 10, 10]
    assert store.asked["GET /pictures"] == 5 + 2  # the pages, and the looks before, also for the output
    assert [store.asked_for(f"/pictures/{name}") for name in names] == [1 + (place % 500 == 1) for place in range(5000)]
