"""The app as a whole: help, version, and what becomes of errors."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from unprompt.cli import main as cli
from unprompt.cli.commands import COMMANDS, SETTINGS
from unprompt.cli.examples import EXAMPLES
from unprompt.cli.manual import children_of, grouped

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
    assert all(f"  {command} " in run.out for command in COMMANDS)
    assert "Exit codes: 0 all is fine" in run.out
    assert "..." not in run.out.partition("Commands:")[2].partition("Options:")[0], "a sentence is cut off"


@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS])
def test_every_command_has_help(unprompt: Unprompt, command: str) -> None:
    run = unprompt(*command.split(), "--help")
    assert run.code == 0
    assert f"Usage: unprompt {command} " in run.out
    assert not any(jargon in run.out for jargon in ("list[", "<int", "<str", "<Path", "x>=", "=x<"))
    assert unprompt(*command.split(), "-h") == run


def leaves(command: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """All commands that do something, each with its context."""
    children = children_of(command, context)
    if not children:
        yield command, context
    for name, child in children:
        yield from leaves(child, child.context_class(child, info_name=name, parent=context))


def all_commands() -> list[tuple[Any, Any]]:
    program: Any = typer.main.get_command(cli.app)
    return list(leaves(program, program.context_class(program, info_name="unprompt", **SETTINGS)))


def test_every_command_has_two_examples_that_it_understands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("picture.png", "pictures"):
        (tmp_path / name).touch()
    known = {context.command_path: (command, context.parent) for command, context in all_commands()}
    assert set(EXAMPLES) == {"unprompt", *known}
    for path, lines in EXAMPLES.items():
        command, parent = known.get(path, known["unprompt predict"])
        assert len(set(lines)) == 2
        for line in lines:
            assert line.startswith(path)
            words = shlex.split(line.partition(" > ")[0])[len(path.split()) :]
            with command.make_context(path.split()[-1], [word.rstrip("/") for word in words], parent=parent):
                pass


def test_every_command_can_be_quiet_and_its_options_are_in_groups() -> None:
    for command, context in all_commands():
        parameters = command.get_params(context)
        names = {name for each in parameters for name in each.opts}
        assert {"-q", "--quiet", "-h", "--help"} <= names, context.command_path
        groups = dict(grouped(parameters))
        assert sum(map(len, groups.values())) == sum(each.param_type_name == "option" for each in parameters)
        if len(names) > 20 and context.command_path != "unprompt serve":  # whose options are all its own
            assert len(groups) > 3, context.command_path


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
        (["--threads", "-1"], "--threads: expected a whole number, 0 to 1,024; found '-1'"),
        (["--threads", "two"], "--threads: expected a whole number, 0 to 1,024; found 'two'"),
        (["--threads", "1" * 12], "--threads: expected a whole number, 0 to 1,024; found '111111111111'"),
        (["--threads", "1" * 9999], "--threads: expected a whole number, 0 to 1,024; found 9,999 characters"),
        (["--top", "1" * 12], "--top: expected a whole number, 1 to 1,000,000,000; found '111111111111'"),
        (["--top", "0"], "--top: expected a whole number, 1 or more; found '0'"),
        (["--pixel-limit-mp", "none"], "--pixel-limit-mp: expected a number, 0 or more; found 'none'"),
        (["--url-timeout-s", "inf"], "--url-timeout-s: expected a number, 0.1 or more; found 'inf'"),
        (["--style", "tgs"], "--style: expected prompt, sentence or tags; found 'tgs'; did you mean tags?"),
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
