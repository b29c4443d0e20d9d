"""`unprompt kaggle`: submit, check and score."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from kills import COMMAND
from PIL import Image

from unprompt import load
from unprompt.kaggle.submission import check_submission, read_submission, write_submission

Unprompt = Callable[..., Any]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five pictures, one of them with a prompt of its own."""
    tiny_models.pictures(tmp_path / "pictures", 5)
    return tmp_path / "pictures"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The pictures in an order of its own, with values that say nothing."""
    path = tmp_path / "sample.csv"
    write_submission(path, ((image, np.zeros(384, np.float32)) for image in "31420"))
    return path


def test_submit_check_score(unprompt: Unprompt, preset: Path, pictures: Path, sample: Path, tmp_path: Path) -> None:
    path, prompts = tmp_path / "s.csv", tmp_path / "prompts.csv"
    run = unprompt("kaggle", "submit", pictures, "-o", path, "--like", sample, "--preset", preset)
    assert (run.code, run.out) == (0, "")
    assert run.err.startswith("unprompt: 5 pictures in ")
    assert read_submission(path).images == tuple("31420")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pictures", "s.csv", "sample.csv"]

    before = sample.read_bytes()
    run = unprompt("kaggle", "submit", pictures, "-o", sample, "--like", sample, "--preset", preset)
    assert (run.code, "which is read" in run.err, sample.read_bytes() == before) == (2, True, True)

    run = unprompt("kaggle", "check", path, "--like", sample)
    assert run == (0, f"{path}: 1,920 rows of 5 images, sound\n", "")

    prompts.write_text('imgId,prompt\n2,"a cat, [red]"\n0,a dog\n')
    run = unprompt("kaggle", "score", path, "--truth", prompts, "--by-image")
    assert run.code == 0
    assert run.err == "unprompt: 3 submitted images have no truth and are not scored\n"
    assert all(text in run.out for text in ("a cat, [red]", "a dog", "all 2"))
    run = unprompt("kaggle", "score", path, "--truth", path)
    assert (run.code, run.err) == (0, "")
    assert "1.0000" in run.out
    assert "1.0000 to 1.0000" in run.out


def test_nothing_but_the_pictures_decides(unprompt: Unprompt, preset: Path, pictures: Path, tmp_path: Path) -> None:
    def submitted(folder: Path, *options: object) -> bytes:
        path = tmp_path / "s.csv"
        run = unprompt("kaggle", "submit", folder, "-o", path, "--overwrite", "--preset", preset, "-q", *options)
        assert run == (0, "", "")
        return path.read_bytes()

    before = submitted(pictures)
    assert read_submission(tmp_path / "s.csv").images == tuple("01234")
    elsewhere = tmp_path / "elsewhere"
    for number, path in enumerate(sorted(pictures.iterdir(), reverse=True)):
        (elsewhere / str(number % 2)).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, elsewhere / str(number % 2) / path.name)  # made in another order, listed in another
    assert submitted(elsewhere) == before
    assert submitted(pictures, "--batch-size", 1, "--threads", 1) == before


def test_the_file_says_nothing(unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(examples / "written.png", tmp_path / "one")
    path = tmp_path / "s.csv"
    assert unprompt("kaggle", "submit", tmp_path / "one", "-o", path, "--preset", preset, "-q").code == 0
    (predicted,) = load(preset).predict(examples / "written.png", ignore_metadata=True, text=False)
    assert np.array_equal(read_submission(path).raw_vectors, predicted.vector[None])


def test_a_broken_picture(unprompt: Unprompt, pictures: Path, tmp_path: Path) -> None:
    folder = tiny_models.regressor(tmp_path / "models" / "linear.tiny")
    preset, model = tiny_models.preset(tmp_path / "models" / "tiny.toml", folder), folder.file("model.onnx")
    path = tmp_path / "s.csv"
    path.write_text("an old one")
    (pictures / "1.jpg").write_bytes(b"no picture")
    submit = ("kaggle", "submit", pictures, "-o", path, "--preset", preset)
    assert "--overwrite" in unprompt(*submit).err
    run = unprompt(*submit, "--overwrite")
    assert run.code == 3
    named, verdict = run.err.splitlines()
    assert f"{pictures / '1.jpg'}: expected PNG" in named
    assert verdict.endswith("is not written: 1 of 5 pictures failed; mend them, or add --fill mean, and use --resume")
    assert path.read_text() == "an old one"

    assert "--resume" in unprompt(*submit, "--fill", "mean").err
    model.write_bytes(b"damaged")  # whoever needs it now computes again what is known
    run = unprompt(*submit, "--fill", "mean", "--resume")
    assert run.code == 0
    assert "1 failed" in run.err
    vectors = read_submission(path).raw_vectors
    mean = vectors[[0, 2, 3, 4]].mean(axis=0)
    assert vectors[1] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert check_submission(path).findings == ()


def test_none_but_broken_pictures(unprompt: Unprompt, preset: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").touch()
    run = unprompt(
        "kaggle", "submit", tmp_path / "broken", "-o", tmp_path / "s.csv", "--preset", preset, "--fill", "mean"
    )
    assert run.code == 2
    assert "found none that could be read" in run.err
    assert not (tmp_path / "s.csv").exists()


def test_errors_before_any_work(unprompt: Unprompt, preset: Path, pictures: Path, sample: Path, tmp_path: Path) -> None:
    def error(*arguments: object) -> str:
        run = unprompt("kaggle", "submit", *arguments, "--preset", preset)
        assert (run.code, run.out) == (2, "")
        (line,) = run.err.splitlines()
        return str(line)

    for path in pictures.iterdir():
        path.write_bytes(b"no picture")  # whoever looked at one would say so
    output = tmp_path / "none" / "s.csv"
    assert "cannot write" in error(pictures, "-o", output)
    output = tmp_path / "s.csv"
    (pictures / "2.png").touch()
    assert "one picture for each imgId" in error(pictures, "-o", output)
    (pictures / "2.png").unlink()
    (pictures / "2.webp").unlink()
    assert "found none for 1: 2; check the folder" in error(pictures, "-o", output, "--like", sample)
    assert "expected a folder of pictures" in error(tmp_path / "none", "-o", output)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pictures", "sample.csv"]


def test_pictures_that_the_sample_lacks(unprompt: Unprompt, preset: Path, pictures: Path, tmp_path: Path) -> None:
    sample, path = tmp_path / "sample.csv", tmp_path / "s.csv"
    write_submission(sample, [("4", np.zeros(384, np.float32))])
    run = unprompt("kaggle", "submit", pictures, "-o", path, "--like", sample, "--preset", preset)
    assert run.err.splitlines()[0] == "unprompt: skipped 4 pictures that the sample lacks"
    assert read_submission(path).images == ("4",)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda how: how.name)
def test_a_submit_that_was_broken_off_goes_on(
    unprompt: Unprompt, preset: Path, tmp_path: Path, how: signal.Signals
) -> None:
    folder, path, part = tmp_path / "pictures", tmp_path / "s.csv", tmp_path / ".s.csv.part"
    tiny_models.pictures(folder, 8)
    for colour in ("red", "green"):  # these take a while, and come last
        Image.new("RGB", (4000, 3000), colour).save(folder / f"{colour}.png", compress_level=1)
    options = ("kaggle", "submit", folder, "--preset", preset, "--batch-size", 1)
    command = [*COMMAND, *map(str, options), "-o", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (part.exists() and part.stat().st_size > 10_000):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
    assert not path.exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert err.startswith("unprompt: interrupted: ")
        assert err.endswith("what was answered is kept; continue with --resume\n")
        assert not part.exists()
    refused = unprompt(*options, "-o", path)
    assert (refused.code, "--resume" in refused.err) == (2, True)
    assert unprompt(*options, "-o", path, "--resume").code == 0
    assert unprompt(*options, "-o", tmp_path / "unbroken.csv").code == 0
    assert path.read_bytes() == (tmp_path / "unbroken.csv").read_bytes()
    assert not part.exists()


def test_check_names_what_is_wrong(unprompt: Unprompt, sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text(sample.read_text().replace("3_7,0.0\n", "[3_7,x\n") + "4_1,1\n4_500,1\n")
    run = unprompt("kaggle", "check", path, "--like", sample)
    assert (run.code, run.err) == (2, "")
    assert all(
        text in run.out
        for text in (
            "unparsable",
            "line 9: [3_7,x",
            "eId",
            "4_500",
            "duplicate",
            "4_1",
            "missing",
            "3_7",
            "zero-length",
        )
    )
    assert run.out.endswith(f"{path}: 1,922 rows of 5 images, not sound\n")
    run = unprompt("kaggle", "check", tmp_path / "none.csv")
    assert (run.code, run.out, len(run.err.splitlines())) == (2, "", 1)


def test_score_of_what_is_not_sound(unprompt: Unprompt, sample: Path) -> None:
    run = unprompt("kaggle", "score", sample, "--truth", sample)
    assert (run.code, run.out) == (2, "")
    assert "5 zero-length (3, 1, 4, 2, 0)" in run.err


def test_the_seven_pictures(unprompt: Unprompt, shared: Path, tmp_path: Path) -> None:
    data = shared / "data" / "kaggle"
    sample, path = data / "sample_submission.csv", tmp_path / "s.csv"
    assert unprompt("kaggle", "submit", data / "images", "-o", path, "--like", sample, "--quiet") == (0, "", "")
    assert unprompt("kaggle", "check", path, "--like", sample).code == 0
    before = path.read_bytes()
    for number, picture in enumerate(sorted((data / "images").iterdir(), reverse=True)):
        (tmp_path / "copies" / str(number)).mkdir(parents=True)
        shutil.copy(picture, tmp_path / "copies" / str(number))
    assert unprompt("kaggle", "submit", tmp_path / "copies", "-o", path, "--overwrite", "--quiet") == (0, "", "")
    assert path.read_bytes() == before
    run = unprompt("kaggle", "score", sample, "--truth", data / "prompts.csv")
    assert (run.code, run.err) == (0, "")
    assert re.search(r"(0\.9999|1\.0000) │ (0\.9999|1\.0000) to (0\.9999|1\.0000)", run.out)
