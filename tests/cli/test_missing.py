"""--allow-missing on the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Unprompt = Callable[..., Any]


@pytest.fixture
def lacking(preset: Path, tmp_path: Path) -> Path:
    """The tiny preset with a bank that is not here."""
    path = tmp_path / "lacking.toml"
    gone = f'[[members]]\nkind = "neighbours"\nmodel = "embedded"\nbank = "{tmp_path / "gone.bank"}"\nweight = 3\n'
    path.write_text(preset.read_text().replace("[wording]", f"{gone}[wording]"))
    return path


def test_a_missing_member_is_an_error_that_says_what_to_do(unprompt: Unprompt, lacking: Path, examples: Path) -> None:
    run = unprompt(examples / "coffee.jpg", "--preset", lacking)
    assert (run.code, run.out) == (2, "")
    assert "make it with 'unprompt bank build PROMPTS" in run.err


def test_the_rest_goes_on_and_each_record_says_so(
    unprompt: Unprompt, lacking: Path, examples: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = [examples / "coffee.jpg", examples / "chelsea.jpg"]
    run = unprompt(*pictures, "--preset", lacking, "--allow-missing", "--format", "jsonl", "--ignore-metadata")
    assert run.code == 0
    records = [json.loads(line) for line in run.out.splitlines()]
    assert len(records) == 2
    for record in records:
        assert [vote["weight"] for vote in record["votes"]] == [1.0]
        assert "gone.bank" in record["model"]["missing"]["neighbours"]
    assert len([entry for entry in caplog.records if "goes on without the member neighbours" in entry.message]) == 1


def test_evaluating_goes_on_as_well(unprompt: Unprompt, lacking: Path, examples: Path, tmp_path: Path) -> None:
    shutil.copy(examples / "coffee.jpg", tmp_path)
    data = tmp_path / "val.jsonl"
    data.write_text(json.dumps({"file_name": "coffee.jpg", "prompt": "a cup of coffee"}) + "\n")
    assert unprompt("evaluate", data, "--preset", lacking, "--quiet").code == 2
    run = unprompt("evaluate", data, "--preset", lacking, "--allow-missing", "--quiet", "--no-text")
    assert run.code == 0, run.err


def test_show_says_what_is_missing_and_ends_well(unprompt: Unprompt, lacking: Path) -> None:
    run = unprompt("presets", "show", lacking)
    assert run.code == 0
    assert "missing" in next(line for line in run.out.splitlines() if "gone.bank" in line)
    assert "missing: 1, ?" in run.out
    assert "unprompt bank build" in run.err
    assert unprompt("presets", "show", lacking, "--toml").out == lacking.read_text()


@pytest.mark.parametrize("name", ["embedded", "published", "light", "neighbours", "best"])
def test_every_preset_of_the_package_is_shown(
    unprompt: Unprompt, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("UNPROMPT_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    run = unprompt("presets", "show", name)
    assert run.code == 0
    assert "all-MiniLM-L6-v2.unprompt" in run.out
    assert ("nothing is missing" in run.out) == (name == "embedded")
