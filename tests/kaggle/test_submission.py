"""Submissions: written whole or not at all, exact to the bit, and read again."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unprompt.durable import open_locked
from unprompt.errors import DataError, OutputBusyError
from unprompt.kaggle.submission import (
    check_submission,
    mean_in_gaps,
    read_images,
    read_submission,
    write_submission,
)
from unprompt.prediction import Vector


def vectors(count: int, seed: int = 0) -> Vector:
    raw = np.random.default_rng(seed).standard_normal((count, 384)).astype(np.float32)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def test_the_file_is_that_of_the_competition(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    vector = np.zeros(384, np.float32)
    vector[:5] = [0.018848453, -0.0006734701, 0.0727922, 1e-5, 1 / 3]
    assert write_submission(path, [("20057f34d", vector), ("b_c", vector)]) == 2
    data = path.read_bytes()
    assert data.startswith(
        b"imgId_eId,val\n20057f34d_0,0.018848453\n20057f34d_1,-0.0006734701\n20057f34d_2,0.0727922\n"
        b"20057f34d_3,1e-05\n20057f34d_4,0.33333334\n20057f34d_5,0.0\n"
    )
    assert data.endswith(b"b_c_383,0.0\n")
    rows = list(csv.reader(data.decode().splitlines()))
    assert [row[0] for row in rows[1:385]] == [f"20057f34d_{place}" for place in range(384)]
    assert os.listdir(tmp_path) == ["s.csv"]


def test_what_is_written_is_sound_and_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    true = vectors(20)
    write_submission(path, ((f"{number:x}", vector) for number, vector in enumerate(true)))
    found = read_submission(path)
    assert found.images == tuple(f"{number:x}" for number in range(20))
    assert found.raw_vectors.tobytes() == true.tobytes()
    check = check_submission(path)
    assert (check.rows, check.images, check.findings) == (20 * 384, 20, ())


@given(hnp.arrays(np.float32, 384, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_every_float32_survives(tmp_path_factory: pytest.TempPathFactory, vector: Vector) -> None:
    path = tmp_path_factory.getbasetemp() / "survives.csv"
    vector[0] = 1  # of some length
    write_submission(path, [("a", vector)])
    assert read_submission(path).raw_vectors.tobytes() == vector.tobytes()


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("the old one")

    def rows() -> Iterator[tuple[str, Vector]]:
        yield "a", vectors(1)[0]
        assert sorted(os.listdir(tmp_path)) == [".s.csv.part", "s.csv"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_submission(path, rows())
    assert (os.listdir(tmp_path), path.read_text()) == (["s.csv"], "the old one")
    for bad in (np.full(384, np.nan, np.float32), vectors(1)):
        with pytest.raises(ValueError, match="expected a finite vector"):
            write_submission(path, [("a", bad)])
    assert (os.listdir(tmp_path), path.read_text()) == (["s.csv"], "the old one")


def test_what_a_kill_left_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / ".s.csv.part").write_text("x" * 10_000)
    write_submission(tmp_path / "s.csv", [("a", vectors(1)[0])])
    assert check_submission(tmp_path / "s.csv").findings == ()
    assert os.listdir(tmp_path) == ["s.csv"]


def test_places_are_tried_before_the_first_row(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[str, Vector]]:
        raise AssertionError("asked for a row")
        yield

    (tmp_path / "folder").mkdir()
    for name, message in [
        ("none/s.csv", "make it first"),
        ("folder", "a plain file"),
        ("a.png", "would overwrite a picture"),
    ]:
        with pytest.raises(DataError, match=message):
            write_submission(tmp_path / name, rows())
    with pytest.raises(DataError, match="a plain file"):
        write_submission(os.devnull, rows())
    with open_locked(str(tmp_path / ".s.csv.part")), pytest.raises(OutputBusyError):
        write_submission(tmp_path / "s.csv", rows())


@pytest.mark.skipif(os.name != "posix", reason="a full device")
def test_a_link_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "s.csv").symlink_to(tmp_path / "folder" / "real.csv")
    write_submission(tmp_path / "s.csv", [("a", vectors(1)[0])])
    assert (tmp_path / "s.csv").is_symlink()
    assert check_submission(tmp_path / "folder" / "real.csv").findings == ()


def test_the_mean_in_gaps() -> None:
    true = vectors(4)
    heard: list[str] = []

    def answers() -> Iterator[tuple[str, Vector | None]]:
        for image, vector in [("a", true[0]), ("b", None), ("c", true[1]), ("d", None), ("e", true[2])]:
            heard.append(image)
            yield image, vector

    filled = mean_in_gaps(answers())
    assert next(filled)[0] == "a"
    assert heard == ["a"]  # nothing is held before the first gap
    found = dict(filled)
    assert list(found) == ["b", "c", "d", "e"]
    mean = true[:3].mean(axis=0)
    assert found["b"] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert found["b"].dtype == np.float32
    assert np.array_equal(found["b"], found["d"])
    assert found["c"] is not None
    assert np.array_equal(found["c"], true[1])


def test_no_mean_of_nothing() -> None:
    assert list(mean_in_gaps([])) == []
    with pytest.raises(DataError, match="found none that could be read"):
        list(mean_in_gaps([("a", None)]))


def test_the_sample_says_which_images_there_are(tmp_path: Path) -> None:
    sample, path = tmp_path / "sample.csv", tmp_path / "s.csv"
    zeros = np.zeros(384, np.float32)
    write_submission(sample, [("b", zeros), ("a", zeros)])
    write_submission(path, [("a", vectors(1)[0]), ("c", vectors(1)[0])])
    assert read_images(sample) == ("b", "a")
    found = {each.kind: each.count for each in check_submission(path, sample).findings}
    assert found == {"missing": 384, "extra": 384}
    assert check_submission(path).findings == ()

    sample.write_text(sample.read_text().replace("b_7,0.0\n", ""))
    with pytest.raises(DataError, match=r"sample.csv, found 1 missing \(b_7\)"):
        check_submission(path, sample)
    with pytest.raises(DataError, match=r"expected a submission at .*none.csv"):
        check_submission(path, tmp_path / "none.csv")


def test_what_is_not_sound_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_submission(path, [("a", np.zeros(384, np.float32))])
    path.write_text(path.read_text() + "a_1,2\n" * 10)
    with pytest.raises(DataError) as error:
        read_submission(path)
    assert str(error.value).endswith("s.csv, found 10 duplicate (a_1, a_1, a_1, a_1, a_1, ...); 1 zero-length (a)")


def test_the_competitions_own_sample(shared: Path, tmp_path: Path) -> None:
    sample = shared / "data" / "kaggle" / "sample_submission.csv"
    submission = read_submission(sample)
    assert len(submission.images) == 7
    write_submission(tmp_path / "s.csv", zip(submission.images, submission.raw_vectors, strict=True))
    assert (tmp_path / "s.csv").read_bytes() == sample.read_bytes()
