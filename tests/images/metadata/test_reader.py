"""The readers in their order, and after them those of other packages."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from foreign_packages import install
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from unprompt.images.metadata import read, reader
from unprompt.plugins import find_plugins

READER = """
from unprompt.images.metadata.composing import compose

def read(fields):
    return compose("Echo", fields.text.get("echo"))
"""


def picture(**texts: str) -> bytes:
    information = PngInfo()
    for key, text in texts.items():
        information.add_text(key, text)
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "png", pnginfo=information)
    return file.getvalue()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    caches = (find_plugins.cache_clear, reader._foreign_readers.cache_clear, reader._faults.clear)
    for clear in caches:
        clear()
    yield folder
    for clear in caches:
        clear()


def foreign(site: Path, name: str, code: str) -> None:
    install(site, name, {f"{name}.py": code}, {reader.GROUP: {name: f"{name}:read"}})


def test_every_reader_of_the_table_is_there() -> None:
    assert all(callable(reader.reader_at(place)) for place in reader.READERS)


def test_the_reader_of_another_package_is_asked_after_ours(site: Path) -> None:
    foreign(site, "echo_reader", READER)
    written = read(picture(echo="a (red:1.2) fox"))
    assert written is not None
    assert (written.tool, written.prompt, written.raw) == ("Echo", "a red fox", "a (red:1.2) fox")
    ours = read(picture(parameters="a cat\nSteps: 20, Sampler: Euler a, Seed: 1", echo="a red fox"))
    assert ours is not None
    assert (ours.tool, ours.prompt) == ("AUTOMATIC1111", "a cat")
    assert read(picture(other="a red fox")) is None


def test_where_no_text_is_nobody_is_looked_up(site: Path) -> None:
    foreign(site, "echo_unasked", "raise RuntimeError\n")
    assert read(picture()) is None
    assert find_plugins.cache_info().misses == 0


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("echo_torn", "import nothing_of_the_kind\n", "found ModuleNotFoundError: "),
        ("echo_raising", "def read(fields):\n    raise RuntimeError('\\x1b[31m')\n", r"found RuntimeError: \x1b[31m;"),
        ("echo_wrong", "def read(fields):\n    return 'a fox'\n", "it answered with a str, not a WrittenPrompt"),
        (
            "echo_refusing",
            "from unprompt.errors import DataError\ndef read(fields):\n    raise DataError('expected more')\n",
            "package echo_refusing 1.0 to work as unprompt.metadata 'echo_refusing', found DataError: expected more",
        ),
    ],
)
def test_a_broken_package_is_named_once_and_costs_no_picture(
    site: Path, name: str, code: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    foreign(site, name, code)
    foreign(site, "sound_reader", READER)
    with caplog.at_level(logging.WARNING):
        answers = [read(picture(echo=text)) for text in ("a fox", "a ship")]
    assert [answer and answer.prompt for answer in answers] == ["a fox", "a ship"]
    (record,) = caplog.records
    assert said in record.getMessage()


def test_the_command_reads_what_another_package_knows(site: Path) -> None:
    foreign(site, "echo_shown", READER)
    (site / "a.png").write_bytes(picture(echo="a red fox"))
    command = [sys.executable, "-m", "unprompt", "metadata", "a.png"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=site)  # where modules are looked for first
    assert (run.returncode, run.stderr) == (0, "")
    assert "a red fox" in run.stdout
    assert "Echo" in run.stdout
