"""Command lines with a mistake: the message alone leads to the next command that works."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Unprompt = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: Path) -> Path:
    """A folder with `picture.png`, `pictures/`, `prompts.txt`, and `old.jsonl` with an answer."""
    (tmp_path / "picture.png").write_bytes((examples / "written.png").read_bytes())
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes((examples / "written.png").read_bytes())
    (tmp_path / "prompts.txt").write_text("a red fox in the deep white snow\n")
    (tmp_path / "old.jsonl").write_text('{"source": "a.png"}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The mistake, and what the next command takes from the message.
MISTAKES = [
    ("evalute val.jsonl", "did you mean 'unprompt evaluate'?"),
    ("help", "did you mean 'unprompt --help'?"),
    ("gui", "did you mean 'unprompt serve'?"),
    ("dedupe prompts.txt -o out.txt", "did you mean 'unprompt data dedupe'?"),
    ("data claen prompts.txt -o out.txt", "did you mean 'unprompt data clean'?"),
    ("models", "unprompt models [OPTIONS] COMMAND"),
    ("pictrues/", "did you mean pictures?"),
    ("picture.jpg", "did you mean picture.png?"),
    ("picture.png --stlye tags", "did you mean --style?"),
    ("picture.png --style tgs", "did you mean tags?"),
    ("picture.png --preset embeded", "did you mean 'embedded'?"),
    ("picture.png --threads", "--threads lacks its value"),
    ("picture.png --threads 111111111111", "expected a whole number, 0 to 1,024"),
    ("picture.png -o out.xlsx", "write .csv with --excel"),
    ("picture.png -o out.jsnl", ".txt, .json, .jsonl, .csv, .parquet, .html"),
    (
        "picture.png -o old.jsonl",
        "--overwrite to replace it, or name another; --resume continues what an interrupted run left",
    ),
    ("picture.png --no-text", "add --vectors FILE.npy, -o FILE.jsonl or --format jsonl"),
    ("picture.png -o out.jsonl --excel", "write csv: -o FILE.csv"),
    ("picture.png -o out.csv --overwrite --resume", "omit one"),
    ("metadata picture.png --field sed", "did you mean seed?"),
    ("score picture.png", "usage: unprompt score [OPTIONS] PICTURE PROMPT..."),
    ("picture.png -o no/such/folder/out.jsonl", "No such file or directory"),
    ("presets show publishd", "did you mean 'published'?"),
    ("train recipe.tom", "expected a recipe"),
    (
        "kaggle submit pictures -o old.jsonl",
        "--overwrite to replace it, or name another; --resume continues what an interrupted run left",
    ),
    ("similar picture.png -o out.csv", "expected --format text, json or jsonl, found csv"),
    ("serve pictures", "expected no more arguments, found pictures; usage: unprompt serve [OPTIONS]"),
    ("picture.png --actors 2", "expected --cluster ray with --actors"),
    ("picture.png --parts parquet -o out.txt", "expected --cluster ray with --parts"),
    ("picture.png --lease-s 30", "expected --shards with --lease-s"),
    ("data clean prompts.txt -o out.csv", "expected -o to end in .txt"),
]


@pytest.mark.parametrize(("line", "way"), MISTAKES)
@pytest.mark.usefixtures("folder")
def test_the_message_leads_on(unprompt: Unprompt, line: str, way: str) -> None:
    if line.startswith("train"):
        pytest.importorskip("torch")
    run = unprompt(*line.split())
    assert run.code == 2
    assert way in run.err
    assert not any(jargon in run.err for jargon in ("Traceback", "Value error", "list[", "Error:", "fault of ours"))
    if line != "models":
        assert run.out == ""
        assert len(run.err.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_named(unprompt: Unprompt, folder: Path) -> None:
    (folder / "file").write_text("no folder")
    run = unprompt("picture.png", "-o", "file/out.jsonl")
    assert (run.code, run.out) == (2, "")
    assert "file/out.jsonl" in run.err


def test_a_missing_extra_says_what_installs_it(
    unprompt: Unprompt, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    run = unprompt("picture.png", "-o", "out.parquet")
    assert run.code == 2
    assert "pip install 'unprompt[parquet]'" in run.err


def test_without_the_network_a_preset_says_what_brings_its_models(
    unprompt: Unprompt, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = unprompt("picture.png", "--preset", "tags", "--ignore-metadata")
    assert run.code == 2
    assert "unprompt models fetch" in run.err or "HF_HUB_OFFLINE" in run.err
