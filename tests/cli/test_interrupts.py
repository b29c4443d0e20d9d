"""A Ctrl-C ends the command, wherever it comes: none is lost, and none prints a traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from unprompt.cli import interrupts
from unprompt.cli.interrupts import Interrupts, check, remembered
from unprompt.cli.progress import Steps, Tally, shown

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a process cannot send itself SIGINT elsewhere")


def interrupt() -> None:
    """A Ctrl-C, now."""
    signal.raise_signal(signal.SIGINT)


class Lost:
    """Interrupts where Python lets no exception out, as it does while modules load and objects go away."""

    def __del__(self) -> None:
        interrupt()


def loses_one() -> None:
    """A Ctrl-C comes, and nothing is raised."""
    Lost()


def forever() -> Generator[None, None, None]:
    """Work without an end."""
    while True:
        yield


def through_steps(*, quiet: bool) -> None:
    with Steps(quiet=quiet)("reading", None) as advance:
        loses_one()
        for _ in forever():
            advance(1)


def through_pictures(*, quiet: bool) -> None:
    with shown(Tally(), quiet=quiet) as advance:
        loses_one()
        for _ in forever():
            advance()


def through_a_new_step(*, quiet: bool) -> None:
    loses_one()
    with Steps(quiet=quiet)("reading", None):
        pass


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("work", [through_steps, through_pictures, through_a_new_step])
def test_one_that_was_lost_ends_the_work_all_the_same(
    work: Callable[..., None], quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with remembered(), pytest.raises(KeyboardInterrupt):
        work(quiet=quiet)
    assert capsys.readouterr() == ("", "")


def test_one_that_was_lost_before_the_first_answer_ends_the_run() -> None:
    with remembered():
        loses_one()
        with Interrupts() as waiting, pytest.raises(KeyboardInterrupt):
            list(waiting.between(forever()))


def test_one_that_comes_while_an_inner_run_ends_counts_for_the_outer_one() -> None:
    done = []

    def shard(number: int) -> None:
        with Interrupts() as inner:
            done.extend(inner.between(number * 10 + place for place in range(3)))
            if number == 1:
                interrupt()  # its file is being completed

    def shards() -> None:
        with Interrupts() as outer:
            for number in outer.between(number for number in range(5)):
                shard(number)

    with remembered(), pytest.raises(KeyboardInterrupt):
        shards()
    assert done == [0, 1, 2, 10, 11, 12]


def test_one_that_comes_after_the_last_picture_is_heard_too(
    unprompt: Callable[..., Any], preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    from unprompt.output.parquet import ParquetWriter

    complete = ParquetWriter.close

    def close(writer: ParquetWriter) -> None:
        interrupt()  # as pyarrow may take its time for the last rows
        complete(writer)

    monkeypatch.setattr(ParquetWriter, "close", close)
    (picture,) = tiny_models.pictures(tmp_path / "pictures", 1)
    out = tmp_path / "a.parquet"
    run = unprompt(picture, "--preset", preset, "--no-text", "-o", out)
    assert (run.code, out.exists()) == (0, True)
    assert run.err == "unprompt: interrupted after the last picture; all is answered, and the outputs are complete\n"


def test_an_error_that_an_interrupt_became_is_none(
    unprompt: Callable[..., Any], examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        loses_one()
        raise ImportError("numpy C-extensions failed")

    monkeypatch.setattr("unprompt.unprompter.load", load)
    run = unprompt(examples / "coffee.jpg")
    assert (run.code, run.out, run.err) == (130, "", "")


def test_the_next_command_of_a_process_begins_anew() -> None:
    with remembered():
        loses_one()
        assert interrupts.was_interrupted()
    with remembered():
        assert not interrupts.was_interrupted()
        check()


def test_what_else_is_lost_is_said_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)

    class Broken:
        def __del__(self) -> None:
            raise ZeroDivisionError

    with remembered():
        loses_one()
        assert said == []
        Broken()
    assert [lost.exc_type for lost in said] == [ZeroDivisionError]


WHILE_IMPORTED = """
import runpy, signal, sys
module = sys.argv[1]
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[1:] = ["predict", "a.png"]
runpy.run_module("unprompt", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["typer", "unprompt.cli.predict", "unprompt.unprompter", "numpy"])
def test_one_that_comes_while_modules_load_prints_no_traceback(module: str, examples: Path, tmp_path: Path) -> None:
    shutil.copy(examples / "coffee.jpg", tmp_path / "a.png")
    command = [sys.executable, "-c", WHILE_IMPORTED, module]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "")
