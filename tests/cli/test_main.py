"""The app as a whole: help, version, and what becomes of errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from unprompt.cli import main as cli

Unprompt = Callable[..., Any]

SUBCOMMANDS = (
    *(f"data {name}" for name in ("generate", "clean", "dedupe", "split", "stats")),
    *(f"bank {name}" for name in ("build", "index", "verify")),
    "codebook build",
    *(f"models {name}" for name in ("list", "verify", "fetch", "export", "convert", "soup")),
    *(f"kaggle {name}" for name in ("submit", "check", "score")),
    *(f"presets {name}" for name in ("list", "show")),
    *(f"vocabulary {name}" for name in ("list", "check", "build")),
)


def test_help_names_all_commands_and_exit_codes(unprompt: Unprompt) -> None:
    run = unprompt("--help")
    assert run.code == 0
    assert all(f"  {command} " in run.out for command in cli.COMMANDS)
    assert "Exit codes: 0 all is fine" in run.out


@pytest.mark.parametrize("command", [*cli.COMMANDS, *SUBCOMMANDS])
def test_every_command_has_help(unprompt: Unprompt, command: str) -> None:
    run = unprompt(*command.split(), "--help")
    assert run.code == 0
    assert f"Usage: unprompt {command} " in run.out


def test_version(unprompt: Unprompt) -> None:
    run = unprompt("--version")
    assert run.code == 0
    assert run.out.startswith("unprompt ")


def test_no_arguments_show_the_help(unprompt: Unprompt) -> None:
    run = unprompt()
    assert run.code == 2
    assert "Usage: unprompt" in run.out + run.err


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (["--threads", "-1"], "Invalid value for '--threads'"),
        (["--threads", "two"], "Invalid value for '--threads'"),
        (["--top", "1" * 12], ""),
        (["--top", "0"], "Invalid value for '--top'"),
        (["--pixel-limit-mp", "none"], "Invalid value for '--pixel-limit-mp'"),
        (["--threads", "007", "--top", "2", "--pixel-limit-mp", "5"], ""),
    ],
)
def test_values_of_options(unprompt: Unprompt, examples: Path, values: list[str], complaint: str) -> None:
    run = unprompt(str(examples / "written.png"), *values)
    assert (run.code, bool(run.out)) == ((2, False) if complaint else (0, True))
    assert complaint in run.err


@pytest.fixture
def broken(unprompt: Unprompt, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], Any]:
    """Runs an app whose only command raises."""

    def run(error: BaseException) -> Any:
        app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)

        @app.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr(cli, "app", app)
        return unprompt()

    return run


def test_a_fault_of_ours_is_one_line(broken: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run = broken(RuntimeError("of\nthis \x1b kind"))
    assert (run.code, run.out) == (1, "")
    assert run.err == "unprompt: a fault of ours: RuntimeError: of this \\x1b kind; UNPROMPT_TRACEBACK=1 shows where\n"
    monkeypatch.setenv("UNPROMPT_TRACEBACK", "1")
    assert "Traceback" in broken(RuntimeError("again")).err


def test_an_interrupt_is_no_fault(broken: Callable[..., Any]) -> None:
    run = broken(KeyboardInterrupt())
    assert (run.code, run.out, run.err) == (130, "", "")
