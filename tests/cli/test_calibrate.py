"""`unprompt presets calibrate`, and what becomes of a calibration afterwards."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from unprompt.presets import load_preset

Unprompt = Callable[..., Any]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    paths = tiny_models.shapes(tmp_path / "pictures", 44)
    records = [
        {"file_name": f"pictures/{each.name}", "prompt": f"shape number {number}", "group": number // 2}
        for number, each in enumerate(paths)
    ]
    path = tmp_path / "labelled.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def test_a_preset_is_calibrated_evaluated_and_used(
    unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text("# mine\n" + preset.read_text())
    run = unprompt("presets", "calibrate", own, labelled, "-o", own, "--overwrite", "-q")
    assert (run.code, run.err) == (0, "")
    assert "judged by a fit on the other" in run.out
    assert "A picture of nothing: " in run.out
    assert own.read_text().startswith("# mine\n" + preset.read_text())
    confidence = load_preset(own).confidence
    assert confidence is not None
    assert confidence.codebook == "prompt_codebook.unprompt"

    scores = tmp_path / "scores.json"
    run = unprompt("evaluate", labelled, "--preset", own, "--no-text", "--json", scores)
    report = json.loads(scores.read_text())["confidence"]
    assert run.code == 0
    assert "Confidence, whose range is meant to hold 80 %" in run.out
    assert report["n"] == 44
    assert 0.5 < report["coverage"] <= 1
    assert sum(each["n"] for each in report["bins"]) == 44

    run = unprompt(tmp_path / "pictures" / "3.png", "--preset", own, "--no-text", "--format", "jsonl")
    record = json.loads(run.out)
    assert set(record["confidence"]) == {"estimate", "low", "high"}


def test_a_terminal_shows_the_confidence_and_a_pipe_the_prompt_alone(
    unprompt: Unprompt, preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = tiny_models.calibrated(preset, tmp_path / "fitted.toml", tiny_models.codebook(tmp_path / "book.tiny"))
    (picture,) = tiny_models.shapes(tmp_path, 1)
    piped = unprompt(picture, "--preset", fitted)
    assert piped.out.count("\n") == 1
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = unprompt(picture, "--preset", fitted)
    assert shown.out.startswith(piped.out + "confidence 0.")
    assert unprompt(picture, "--preset", fitted, "--prefix", "x ").out == f"x {piped.out}"


def test_other_models_make_a_calibration_void(
    unprompt: Unprompt, preset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fitted = tiny_models.calibrated(preset, tmp_path / "fitted.toml", tiny_models.codebook(tmp_path / "book.tiny"))
    (picture,) = tiny_models.shapes(tmp_path, 1)
    run = unprompt(picture, "--preset", fitted, "--format", "jsonl")
    assert "confidence" in json.loads(run.out)
    assert not caplog.records
    other = tmp_path / "other.toml"
    model = tiny_models.regressor(tmp_path / "linear.other", seed=5)
    (before,) = load_preset(fitted).members
    other.write_text(fitted.read_text().replace(before.model, f"local:{model.path}"))
    run = unprompt(picture, "--preset", other, "--format", "jsonl")
    assert (run.code, "confidence" in json.loads(run.out)) == (0, False)
    assert "fitted to other members or models; run unprompt presets calibrate" in caplog.text


@pytest.mark.parametrize(
    ("output", "said"),
    [("own.txt", "expected -o FILE.toml"), ("labelled.toml", "which is read"), ("no/own.toml", "cannot write")],
)
def test_a_file_that_cannot_be_written(
    unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path, output: str, said: str
) -> None:
    source = labelled.rename(tmp_path / "labelled.toml") if output == "labelled.toml" else labelled
    run = unprompt("presets", "calibrate", preset, source, "-o", tmp_path / output, "--overwrite")
    assert run.code == 2
    assert said in run.err


def test_a_report_that_is_there_is_left_alone(unprompt: Unprompt, preset: Path, labelled: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("an hour's work")
    for command in (("calibrate", preset, labelled), ("fit", labelled, "--preset", preset)):
        run = unprompt("presets", *command, "-o", tmp_path / "new.toml", "--json", old)
        assert (run.code, run.out, old.read_text()) == (2, "", "an hour's work")
        assert f"found that {old} is there; add --overwrite" in run.err
    assert not (tmp_path / "new.toml").exists()
