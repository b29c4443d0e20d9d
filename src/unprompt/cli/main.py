"""The command line: its commands, its default command, and what becomes of errors."""

from __future__ import annotations

import gc
import importlib
import logging
import math
import os
import re
import sys
import traceback
import warnings
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from unprompt.cli.interrupts import remembered, was_interrupted
from unprompt.cli.terminal import RESUMES, say
from unprompt.errors import EXIT_INTERNAL, EXIT_INTERRUPTED, OutputFullError, UnpromptError

COMMANDS = (
    "predict",
    "interrogate",
    "merge",
    "metadata",
    "score",
    "similar",
    "serve",
    "evaluate",
    "train",
    "data",
    "bank",
    "codebook",
    "models",
    "kaggle",
    "presets",
    "vocabulary",
    "doctor",
)
"""Each is a module of this package: with an `app` of several commands, or a function of the same name."""

DEFAULT_COMMAND = "predict"

_COLLECTED_AFTER = 50_000
"""New objects after which Python looks for garbage. Importing makes many that stay: looking at them after each 700, as
Python does, takes a twelfth of a prediction's start."""

EPILOG = (
    "Exit codes: 0 all is fine, 1 a fault of unprompt, 2 the command cannot be done as it was asked for, "
    "3 some pictures failed and the others were answered, 130 interrupted. "
    "To read a file whose name is that of a command, write ./NAME."
)


class _Value:
    """Converts an option's value where that is plain, and has typer convert the others.

    typer asks pydantic about every value, defaults too, and pydantic's import takes longer than that of numpy.
    """

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value; an empty tuple where a list is missing, as typer has it. Raises what typer raises."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        wanted = param.type_descriptor.annotation
        if type(value) in (int, float):  # a default
            return float(value) if wanted is float else value
        if wanted in (str, list[str], bool):
            return value
        if get_origin(wanted) is Literal and value in get_args(wanted):
            return value
        if wanted is int and isinstance(value, str) and _is_within(value, param.type_descriptor.parameter_info):
            return int(value)
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def _is_within(value: str, bounds: Any) -> bool:
    """Whether a value is a plain number within an option's bounds."""
    if not re.fullmatch("[0-9]{1,9}", value):
        return False
    least, most = (default if bound is None else bound for bound, default in ((bounds.min, 0), (bounds.max, math.inf)))
    return bool(least <= int(value) <= most)


def _without_pydantic(parameters: list[Any]) -> list[Any]:
    """Put `_Value` where typer keeps what converts values; a release of typer without that place stays as it is."""
    for parameter in parameters:
        if hasattr(parameter, "_runtime_param") and hasattr(parameter, "get_runtime_param"):
            parameter._runtime_param = _Value()
    return parameters


class Command(TyperCommand):
    """A command that runs without pydantic, unless a value needs it."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options and arguments."""
        return _without_pydantic(super().get_params(ctx))


class Commands(TyperGroup):
    """Imports a command when it is asked for; what begins with neither a command nor an option is for the default."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of `unprompt` itself."""
        return _without_pydantic(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; None if there is none."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            self.commands[cmd_name] = _command(cmd_name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; where the disk is full and the command has --resume, the error says so."""
        try:
            return super().invoke(ctx)
        except OutputFullError as error:
            if RESUMES in ctx.meta and "--resume" not in str(error):
                raise OutputFullError(f"{error}, with --resume") from error
            raise

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the default command's name in front if it is omitted."""
        own = {name for parameter in self.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)}
        if args and args[0] not in COMMANDS and args[0].partition("=")[0] not in own:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


def _command(name: str) -> Any:
    module = importlib.import_module(f"unprompt.cli.{name}")
    around = typer.Typer(callback=lambda: None, rich_markup_mode=None, add_completion=False)
    if hasattr(module, "app"):
        around.add_typer(module.app, name=name)
    else:
        around.command(name, cls=Command, epilog=EPILOG)(getattr(module, name))
    group: Any = typer.main.get_command(around)
    return group.commands[name]


# Plain help: rich would cost more time than all the rest of `unprompt --help`.
app = typer.Typer(
    name="unprompt",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from unprompt.version import __version__

        print(f"unprompt {__version__}")
        raise typer.Exit


@app.callback()
def unprompt(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn generated pictures back into the prompts that made them.

    `unprompt PATH...` is short for `unprompt predict PATH...`, with the same options.
    """


def main() -> int:
    """Run the command line on sys.argv; returns the exit code, or raises SystemExit with it."""
    gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])
    # Pictures come damaged: what Pillow has to say about that is said once, by us.
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a prompt may hold what the terminal's encoding cannot
        if stream is None:  # closed by the caller, who wants none of it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as the process runs
    with remembered():
        try:
            app(prog_name="unprompt")
        except UnpromptError as error:
            say(_one_line(error))
            return error.exit_code
        except Exception as error:  # compiled modules make an ImportError of a Ctrl-C that comes while they load
            return EXIT_INTERRUPTED if was_interrupted() else _fault(error)
    return 0


def _fault(error: Exception) -> int:
    if os.environ.get("UNPROMPT_TRACEBACK"):
        traceback.print_exception(error)
    else:
        kind = type(error).__name__
        say(f"a fault of ours: {kind}: {_one_line(error)}; UNPROMPT_TRACEBACK=1 shows where")
    return EXIT_INTERNAL


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
