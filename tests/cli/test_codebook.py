"""`unprompt codebook build`, and a preset that names what it makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from unprompt.answer.codebook import Codebook
from unprompt.models.store.folder import ModelFolder

Unprompt = Callable[..., Any]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("UNPROMPT_MODELS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(f"a {colour} {thing}" for colour in ("red", "blue") for thing in ("cat", "ship", "tree")))
    return path


def test_a_codebook_is_built_listed_verified_and_used(
    unprompt: Unprompt, models: Path, texts: Path, preset: Path, tmp_path: Path
) -> None:
    run = unprompt("codebook", "build", texts, "-o", models / "book.tiny", "--size", 3, "--licence", "CC0-1.0")
    assert (run.code, run.out) == (0, "")
    assert "3 vectors for 6 texts are in " in run.err
    assert list((tmp_path / "cache" / "unprompt" / "vectors").iterdir())

    listed = next(line for line in unprompt("models", "list").out.splitlines() if "book.tiny" in line)
    assert "codebook" in listed
    assert "CC0-1.0" in listed
    assert unprompt("models", "verify", "book.tiny").code == 0

    drawing = tmp_path / "drawing.toml"
    table = '[codebook]\nmodel = "book.tiny"\nshare = 0.5\nsharpness = 10\n'
    drawing.write_text(preset.read_text() + table)
    (picture,) = tiny_models.pictures(tmp_path / "pictures", 1)
    records = []
    for path in (preset, drawing):
        run = unprompt(picture, "--preset", path, "--format", "jsonl", "--embedding")
        assert run.code == 0
        records.append(json.loads(run.out))
    plain, drawn = records
    expected = Codebook.read(ModelFolder.open(models / "book.tiny")).draw(
        np.array([plain["embedding"]], np.float32), share=0.5, sharpness=10
    )
    assert np.allclose(drawn["embedding"], expected[0], atol=1e-5)
    assert all(drawn[key] == plain[key] for key in ("prompt", "self_similarity", "candidates", "votes"))
    assert "book.tiny" in drawn["model"]["models"]


def test_what_lacks_its_codebook_is_shown_and_refused(
    unprompt: Unprompt, models: Path, texts: Path, preset: Path, tmp_path: Path
) -> None:
    path = tmp_path / "lacking.toml"
    path.write_text(f'{preset.read_text()}[codebook]\nmodel = "book.tiny"\nshare = 0.5\nsharpness = 10\n')
    shown = unprompt("presets", "show", path)
    assert shown.code == 0
    assert "missing" in next(line for line in shown.out.splitlines() if "codebook" in line)
    assert "book.tiny" in shown.err
    fetched = unprompt("models", "fetch", "--preset", path)
    assert (fetched.code, "book.tiny" in fetched.err) == (2, True)
    (picture,) = tiny_models.pictures(tmp_path / "pictures", 1)
    run = unprompt(picture, "--preset", path)
    assert (run.code, "book.tiny" in run.err) == (2, True)

    assert unprompt("codebook", "build", texts, "-o", models / "book.tiny", "--size", 3, "-q") == (0, "", "")
    shown = unprompt("presets", "show", path)
    assert "here" in next(line for line in shown.out.splitlines() if "codebook.npy" in line)
    assert unprompt(picture, "--preset", path).code == 0


def test_what_is_measured_on_is_left_out(unprompt: Unprompt, models: Path, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("a red cat\n")
    arguments = ("codebook", "build", texts, "-o", models / "book.tiny", "--apart-from", tmp_path / "val.txt")
    run = unprompt(*arguments, "--size", 3)
    assert run.code == 0
    assert json.loads((models / "book.tiny" / "config.json").read_text())["prompts"] < 6


def test_what_cannot_be_built_is_said(unprompt: Unprompt, models: Path, texts: Path, tmp_path: Path) -> None:
    for arguments, said in (
        ((texts,), "found 2,000 vectors for 6 texts; give more texts, or another size"),
        ((tmp_path / "none.txt", "--size", 1), "none.txt: expected a file, found none by this name"),
        ((texts, "--size", 1, "--apart-from", tmp_path / "none.jsonl"), "none.jsonl, found nothing there"),
    ):
        run = unprompt("codebook", "build", *arguments, "-o", models / "book.tiny")
        assert (run.code, said in run.err) == (2, True), run.err
    assert not (models / "book.tiny").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    run = unprompt("codebook", "build", texts, "-o", tmp_path / "mine", "--size", 3)
    assert (run.code, "found notes.txt" in run.err) == (2, True)
