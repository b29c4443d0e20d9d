"""Vectors in a .npy file that grows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from full_disks import largest_file

from unprompt.errors import DataError, OutputBusyError
from unprompt.output.vectors import VectorFile

VECTORS = np.random.default_rng(0).standard_normal((6, 384)).astype(np.float32)
SOURCES = ["a.png", "b\udcff\n.png", "猫.png", "d.png", "e.png", "f.png"]


def write(path: Path, rows: range, *, resume: bool = False) -> None:
    with VectorFile(str(path), resume=resume) as file:
        for row in rows:
            file.write(SOURCES[row], VECTORS[row])


def check(path: Path, rows: range) -> None:
    """The file says these rows, and nothing lies behind them."""
    assert np.array_equal(np.load(path), VECTORS[rows.start : rows.stop])
    lines = path.with_suffix(".sources.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"row": place, "source": SOURCES[row]} for place, row in enumerate(rows)
    ]
    assert path.stat().st_size == 128 + 1536 * len(rows)


def test_numpy_reads_it_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    with VectorFile(str(path)) as file:
        for row in range(6):
            assert np.load(path).shape == (row, 384)
            file.write(SOURCES[row], VECTORS[row])
        assert np.array_equal(np.load(path, mmap_mode="r"), VECTORS)
    check(path, range(6))
    assert np.load(path).dtype == np.float32
    write(path, range(0))
    check(path, range(0))


def test_the_head_is_as_numpy_writes_it(tmp_path: Path) -> None:
    write(tmp_path / "ours.npy", range(6))
    np.save(tmp_path / "theirs.npy", VECTORS)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


@pytest.mark.parametrize("rows", [range(6), range(3), range(0), range(2, 6)])
def test_a_resumed_file_is_the_unbroken_one(tmp_path: Path, rows: range) -> None:
    for before in (range(0), range(2), range(4), range(6)):
        write(tmp_path / "v.npy", before)
        write(tmp_path / "v.npy", rows, resume=True)
        check(tmp_path / "v.npy", rows)


@pytest.mark.parametrize("missing", [1, 1000, 1536, 1537, 3 * 1536, 6 * 1536 + 1, 6 * 1536 + 128])
def test_torn_vectors_are_mended(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "v.npy"
    write(path, range(6))
    os.truncate(path, path.stat().st_size - missing)
    write(path, range(6), resume=True)
    check(path, range(6))


@pytest.mark.parametrize("kept", [0, 5, 40])
def test_torn_sources_are_mended(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "v.npy"
    write(path, range(6))
    os.truncate(tmp_path / "v.sources.jsonl", kept)
    write(path, range(6), resume=True)
    check(path, range(6))


def test_a_foreign_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    for foreign in (np.zeros((9, 383), np.float32), np.zeros((9, 384)), np.asfortranarray(VECTORS), np.zeros(0)):
        np.save(path, foreign)
        write(path, range(6), resume=True)
        check(path, range(6))
    path.write_bytes(b"x" * 1000)
    write(path, range(2), resume=True)
    check(path, range(2))


def test_other_rows_are_never_promised(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    write(path, range(6))
    file = VectorFile(str(path), resume=True)
    file.write(SOURCES[0], VECTORS[0])
    assert len(np.load(path)) == 6
    file.write(SOURCES[5], VECTORS[5])
    assert np.array_equal(np.load(path), VECTORS[[0, 5]])
    file.write(SOURCES[2], VECTORS[2])  # as it lay there before; but the lines are gone
    assert np.array_equal(np.load(path), VECTORS[[0, 5, 2]])
    file.close()
    assert len((tmp_path / "v.sources.jsonl").read_bytes().splitlines()) == 3


def test_a_replay_that_breaks_off_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    write(path, range(6))
    file = VectorFile(str(path), resume=True)
    file.write(SOURCES[0], VECTORS[0])
    with pytest.raises(KeyboardInterrupt), file:
        raise KeyboardInterrupt
    check(path, range(6))


def test_a_killed_run_leaves_whole_rows(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from unprompt.output.vectors import VectorFile\n"
        "file = VectorFile(sys.argv[1])\n"
        "while True:\n"
        "    file.write('a.png', np.ones(384, np.float32))\n"
        "    print(flush=True)"
    )
    path = tmp_path / "v.npy"
    for rows in (1, 20, 300):
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(rows):
                process.stdout.readline()
            process.kill()
        there = np.load(path)
        assert len(there) >= rows
        assert (there == 1).all()
        assert len((tmp_path / "v.sources.jsonl").read_bytes().splitlines()) >= len(there)
    write(path, range(6), resume=True)
    check(path, range(6))


def test_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "v.npy"
    with largest_file(128 + 2 * 1536 + 100), pytest.raises(DataError, match=r"v\.npy: File too large; free some"):
        write(path, range(6))
    assert np.array_equal(np.load(path), VECTORS[:2])
    write(path, range(6), resume=True)
    check(path, range(6))


def test_one_file_has_one_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "v.npy")
    with VectorFile(path), pytest.raises(OutputBusyError):
        VectorFile(path)


@pytest.mark.parametrize("name", ["v.png", "v", "v.npz", "folder.npy", "nowhere/v.npy"])
def test_places_for_no_vectors(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(DataError, match=r"ends in \.npy|plain file|make it first"):
        VectorFile(str(tmp_path / name))
    assert os.listdir(tmp_path) == ["folder.npy"]


def test_vectors_of_another_size_are_refused(tmp_path: Path) -> None:
    with VectorFile(str(tmp_path / "v.npy")) as file, pytest.raises(ValueError, match="384"):
        file.write("a.png", VECTORS[0][:383])
