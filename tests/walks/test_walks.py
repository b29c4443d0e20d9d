"""Walks: what a user of each kind does, from the first command to a result, as a shell script with what it prints.

NAME.sh runs in a folder with the pictures of examples/ in `pictures`; NAME.out is what it printed. After a change that
is meant, `WRITE_WALKS=1 pytest tests/walks` writes the outputs anew: read the difference before you commit it.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import unprompt

PACKAGE = Path(unprompt.__file__).parent
WALKS = sorted(Path(__file__).parent.glob("*.sh"))
# What differs from run to run, and from one processor to another: lines of progress, times, rates and scores.
VARIABLE = [
    (re.compile(r"^unprompt: (.+: )?[\d,]+( of [\d,]+)? \w+, .*\n|^unprompt: .* \.\.\.\n", re.MULTILINE), ""),
    (re.compile(r"\b\d+(\.\d+)? (s|min)\b"), "N s"),
    (re.compile(r"\b[\d,.]+/s\b"), "N/s"),
    (re.compile(r"\b\d+\.\d %"), "N %"),
    (re.compile(r"[+-]?\b\d\.\d{2,4}\b"), "N"),
    (re.compile(r" +N\b"), " N"),
    (re.compile(r" +([│┃┓┐])"), r" \1"),
]

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, examples: Path) -> Path:
    """A folder with pictures, and `unprompt` and `python` of this interpreter in `bin`."""
    for name, command in {"unprompt": [sys.executable, "-m", "unprompt"], "python": [sys.executable]}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        program.chmod(0o755)
    pictures = tmp_path / "work" / "pictures"
    pictures.mkdir(parents=True)
    for picture in [*examples.glob("*.jpg"), *examples.glob("*.png")]:
        shutil.copy(picture, pictures)
    return tmp_path


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.stem)
def test_a_walk_prints_what_it_did(walk: Path, place: Path) -> None:
    environment = os.environ | {
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(place / "hub"),
        "XDG_CACHE_HOME": str(place / "cache"),
    }
    done = subprocess.run(
        ["sh", "-eu", str(walk)],
        cwd=place / "work",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    printed = (
        done.stdout.replace(str(place / "work"), "WORK").replace(str(place), "PLACE").replace(str(PACKAGE), "PACKAGE")
    )
    for pattern, name in VARIABLE:
        printed = pattern.sub(name, printed)
    expected = walk.with_suffix(".out")
    if os.environ.get("WRITE_WALKS"):
        expected.write_text(printed)
    differences = difflib.unified_diff(expected.read_text().splitlines(), printed.splitlines(), lineterm="")
    assert not (found := "\n".join(differences)), found
    assert done.returncode == 0
