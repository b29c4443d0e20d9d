"""A folder of which a third is to be refused or read with care: every good picture is answered, every bad one named."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import command, contents
from hostile.folder import FULL, ODD_NAMES, SMALL, Outcomes, build, changing, is_hostile, may_be_unseen

from unprompt.cli.main import main
from unprompt.display import printable
from unprompt.errors import EXIT_FINE, EXIT_SOME_FAILED
from unprompt.images.decode import Picture, decode
from unprompt.images.sources import image_refs

MEMORY_LIMIT_MB = 600

pytestmark = pytest.mark.skipif(
    not command.CAN_BE_UNPRIVILEGED, reason="root may list closed folders, and there is no setpriv to stop it"
)

NAMES_ALONE = ("--no-text", "--template", "{name}")
"""No sentence is predicted, which takes most of the time."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Outcomes]]]:
    folder = tmp_path_factory.mktemp("hostile")
    outcomes = build(folder, SMALL)
    yield folder, outcomes
    (folder / "closed").chmod(0o700)  # so that it can be removed


def test_good_ones_are_answered_and_bad_ones_named(small: tuple[Path, dict[str, Outcomes]], preset: Path) -> None:
    folder, outcomes = small
    with changing(folder):
        run = command.run(folder, "--preset", preset, *NAMES_ALONE, "--quiet", *SMALL.options)
    assert run.code == EXIT_SOME_FAILED
    assert run.surprises(outcomes) == {}
    assert run.raw() == []
    named = {line.partition("\t")[0] for line in run.out.splitlines()}
    expected = {path for path in outcomes if path not in run.kinds and not may_be_unseen(path)}
    assert {printable(path) for path in expected} <= named
    assert sum(map(is_hostile, outcomes)) * 3 == len(outcomes)
    assert run.peak_mb < MEMORY_LIMIT_MB


@pytest.mark.parametrize("format", ["text", "json", "jsonl", "csv"])
def test_no_format_sends_what_a_terminal_obeys(
    small: tuple[Path, dict[str, Outcomes]],
    preset: Path,
    format: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folders = [small[0] / name for name in ("talking", "odd names", "broken")]
    options = ["--preset", str(preset), *NAMES_ALONE, "--format", format]
    monkeypatch.setattr(sys, "argv", ["unprompt", *map(str, folders), *options])
    assert main() == EXIT_SOME_FAILED
    out, err = capfd.readouterr()
    assert command.raw(out, err) == []
    count = sum(len(os.listdir(folder)) for folder in folders)
    if format == "json":
        assert len(json.loads(out)) == count
    elif format == "jsonl":
        assert len([json.loads(line) for line in out.splitlines()]) == count
    elif format == "csv":
        assert len(list(csv.DictReader(io.StringIO(out)))) == count


def test_odd_names_may_be_given_outright(small: tuple[Path, dict[str, Outcomes]], preset: Path) -> None:
    run = command.run("--preset", preset, *NAMES_ALONE, "--", *ODD_NAMES, cwd=small[0] / "odd names")
    assert (run.code, run.kinds, run.raw()) == (EXIT_FINE, {}, [])
    assert len(run.out.splitlines()) == len(ODD_NAMES)


@pytest.mark.parametrize("format", contents.FORMATS)
def test_cut_after_every_byte(format: str) -> None:
    whole = contents.picture(format, 3, side=8)
    for length in range(len(whole)):
        (ref,) = image_refs([whole[:length]])
        found = decode(ref)
        assert isinstance(found, Picture) or found.kind in ("not-a-picture", "truncated")


@pytest.mark.proof
def test_large_ones_with_the_embedded_models(tmp_path: Path) -> None:
    outcomes = build(tmp_path, FULL)
    try:
        run = command.run(tmp_path, *FULL.options)
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert run.code == EXIT_SOME_FAILED
    assert run.surprises(outcomes) == {}
    assert run.raw() == []
    assert run.peak_mb < MEMORY_LIMIT_MB
