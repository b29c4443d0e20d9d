"""The table of exit codes in the docs is what commands end with."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Unprompt = Callable[..., Any]

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "guides" / "exit-codes.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `unprompt ?([^`]*)` \| (\d+) \|", TABLE, re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page describes."""
    shutil.copy(examples / "written.png", tmp_path / "good.png")
    whole = (examples / "rocket.jpg").read_bytes()
    (tmp_path / "broken.png").write_bytes(whole[: len(whole) // 8])
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.jsonl").write_text('{"source": "good.png"}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_has_every_code_that_a_script_meets() -> None:
    assert len(ROWS) > 12
    assert {code for _, code in ROWS} == {"0", "2", "3"}


@pytest.mark.parametrize(("arguments", "code"), ROWS)
@pytest.mark.usefixtures("folder")
def test_the_table_is_true(unprompt: Unprompt, preset: Path, arguments: str, code: str) -> None:
    words = shlex.split(arguments)
    reads = any(word in ("good.png", "broken.png", "empty/", "gone.png") for word in words)
    if reads and "metadata" not in words and "--preset" not in words:
        words += ["--preset", str(preset)]  # of a tiny model: the code does not depend on it
    run = unprompt(*words)
    assert run.code == int(code), run.err
    assert "Traceback" not in run.err
    assert (code == "0") == (run.err == "")
