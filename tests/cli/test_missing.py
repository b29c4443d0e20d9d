"""--allow-missing on the command line."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
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


@pytest.mark.parametrize("name", ["embedded", "quick", "caption", "max", "published", "light", "neighbours", "best"])
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


def on_terminal(columns: int, *arguments: str) -> list[str]:
    """The lines that a command writes to a terminal of this width, where every line is shown whole or folded."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "unprompt", *arguments]
    # COLUMNS, which test runners set in their workers, would count for more than the terminal's own width.
    terminal = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    with subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL, env=terminal) as run:
        os.close(follower)
        said = b""
        try:
            while block := os.read(leader, 65536):
                said += block
        except OSError:  # how Linux ends a terminal that nobody writes to any more
            pass
    os.close(leader)
    assert run.returncode == 0
    return re.sub(r"\x1b\[\d*m", "", said.decode()).splitlines()


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_a_terminal_folds_no_name(columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("UNPROMPT_MODELS", str(tmp_path / "models"))
    lines = on_terminal(columns, "presets", "show", "published")
    words = {word for line in lines for word in line.replace(",", "").split()}
    names = {"regressor", "interrogator", "captioner", "wording", "0.7488", "0.2112", "0.0400", "BSD-3-Clause"}
    models = {"vit_base_patch16_224.published", "ViT-H-14.laion2b_s32b_b79k", "blip-large", "ofa-large-caption"}
    files = {"open_clip_model.safetensors", "preprocessor_config.json", "vocab.json", "phrases.npy"}
    assert names | models | files <= words
    assert str(tmp_path / "models" / "vit_base_patch16_224.published") in words
    assert all(len(line) <= columns for line in lines if not line.startswith("    in "))


def test_a_terminal_with_the_room_shows_the_table_that_a_file_gets(unprompt: Unprompt, preset: Path) -> None:
    run = unprompt("presets", "show", preset)
    assert [line.rstrip() for line in on_terminal(900, "presets", "show", str(preset))] == run.out.splitlines()


def test_a_member_of_which_nothing_is_known_is_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[[members]]\nkind = "captioner"\nmodel = "blip-larg"\n')
    assert on_terminal(80, "presets", "show", str(path))[:2] == ["captioner, weight 1.0000", "  blip-larg: unknown"]
