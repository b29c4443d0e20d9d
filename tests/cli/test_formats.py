"""Formats of other packages on the command line."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from foreign_packages import install

from unprompt.output.formats import GROUP
from unprompt.plugins import find_plugins

Unprompt = Callable[..., Any]

CODE = """
from pathlib import Path
from unprompt.output.formats import Format

class Sources:
    def __init__(self, stream, options):
        self.stream = stream

    def write(self, record):
        self.stream.write(f"{record['source']}: {record['prompt']}\\n")
        self.stream.flush()

    def close(self):
        pass

class Count:
    def __init__(self, path, options):
        self.path, self.count = Path(path), 0

    def write(self, record):
        self.count += 1

    def close(self):
        self.path.write_text(str(self.count))

SOURCES, COUNT = Format(stream=Sources), Format(file=Count)
"""


@pytest.fixture(autouse=True)
def _foreign_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with the formats `sources` and `count`, and `broken`, which cannot be imported."""
    site = tmp_path / "site"
    names = {"sources": "foreign_command:SOURCES", "count": "foreign_command:COUNT", "broken": "foreign_nothing:FORMAT"}
    install(site, "foreign-formats", {"foreign_command.py": CODE}, {GROUP: names})
    monkeypatch.syspath_prepend(str(site))
    find_plugins.cache_clear()
    yield
    find_plugins.cache_clear()


def test_answers_in_a_format_of_another_package(
    unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path
) -> None:
    written, rocket = examples / "written.png", examples / "rocket.jpg"
    whole = f"{written}: a full moon rising over blue mountains"
    assert unprompt(written, "--preset", preset, "--format", "sources").out.startswith(whole)
    path = tmp_path / "a.sources"
    for options in (("--fail-fast",), ("--overwrite", "--fail-fast")):
        run = unprompt(written, written, "--preset", preset, "-o", path, *options)
        assert (run.code, run.out) == (0, "")
        assert [line.startswith(whole) for line in path.read_text().splitlines()] == [True, True]
    unprompt(written, rocket, "--no-text", "--preset", preset, "-o", tmp_path / "a.count", "--ignore-metadata")
    assert (tmp_path / "a.count").read_text() == "2"
    assert unprompt("metadata", written, "-o", path, "--overwrite").code == 0
    assert path.read_text().startswith(whole)


def test_a_format_that_cannot_be_resumed_keeps_no_journal(
    unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path, gone: Path
) -> None:
    path = tmp_path / "a.count"
    run = unprompt(examples / "written.png", "--preset", preset, "-o", path, "--resume")
    assert (run.code, run.out) == (2, "")
    assert "expected a format that --resume can continue, found count" in run.err
    assert "choose another --format" in run.err
    run = unprompt(examples / "written.png", gone, "--preset", preset, "-o", path, "--fail-fast")
    assert run.code == 3
    assert path.read_text() == "2"
    assert sorted(os.listdir(tmp_path)) == ["a.count", "gone.png", "site"]


@pytest.mark.parametrize("options", [("--format", "broken"), ("-o", "a.broken")])
def test_a_broken_format_names_its_package(
    unprompt: Unprompt, preset: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ((), ("metadata",)):
        chosen = () if command else ("--preset", preset)
        run = unprompt(*command, examples / "written.png", *chosen, *options)
        assert run.code == 2
        assert "expected foreign_nothing:FORMAT of the package foreign-formats 1.0 to work as" in run.err
        assert run.err.endswith("; update the package or uninstall it\n")
        assert len(run.err.splitlines()) == 1
    assert os.listdir(tmp_path) == ["site"]


def test_a_fault_of_a_format_names_its_package(unprompt: Unprompt, preset: Path, gone: Path) -> None:
    run = unprompt(gone, "--preset", preset, "--format", "sources")
    assert run.code == 2
    assert run.err.endswith("found KeyError: 'prompt'; update the package or uninstall it\n")


def test_a_gallery_shows_pictures_of_folders_and_tars(unprompt: Any, tmp_path: Path) -> None:

    pictures = tiny_models.pictures(tmp_path / "pictures", 2)
    with tarfile.open(tmp_path / "two.tar", "w") as archive:
        for path in pictures:
            archive.add(path, path.name)
    run = unprompt(tmp_path / "pictures", tmp_path / "two.tar", "-o", tmp_path / "gallery.html", "--no-text", "-q")
    assert (run.code, run.out) == (0, "")
    page = (tmp_path / "gallery.html").read_text()
    assert (page.count('<li class="card'), page.count("data:image/jpeg")) == (4, 4)
    run = unprompt(pictures[0], "--format", "html")
    assert (run.code, "expected a file for html, found a stream" in run.err) == (2, True)
