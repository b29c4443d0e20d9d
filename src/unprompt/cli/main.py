"""The command line: its commands, its default command, and what becomes of errors."""

from __future__ import annotations

import gc
import logging
import os
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer

from unprompt.cli.commands import SETTINGS, Program, said_of_usage
from unprompt.cli.interrupts import remembered, was_interrupted
from unprompt.cli.terminal import say
from unprompt.errors import EXIT_FINE, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_USAGE, UnpromptError

_COLLECTED_AFTER = 50_000
"""New objects after which Python looks for garbage. Importing makes many that stay: looking at them after each 700, as
Python does, takes a twelfth of a prediction's start."""

app = typer.Typer(
    name="unprompt",
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=dict(SETTINGS),
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
            code = app(prog_name="unprompt", standalone_mode=False)
        except UnpromptError as error:
            say(_one_line(error))
            return error.exit_code
        except Exception as error:
            # Compiled modules make an ImportError of a Ctrl-C that comes while they load.
            if isinstance(error, typer.Abort) or was_interrupted():
                return EXIT_INTERRUPTED
            return _misused(error) if hasattr(error, "format_message") else _fault(error)
    return code or EXIT_FINE


def _misused(error: Any) -> int:
    """Says what is wrong with the command line; shows the help where nothing at all was asked for."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        say(_one_line(said_of_usage(error)))
    return EXIT_USAGE


def _fault(error: Exception) -> int:
    if os.environ.get("UNPROMPT_TRACEBACK"):
        traceback.print_exception(error)
    else:
        kind = type(error).__name__
        say(f"a fault of ours: {kind}: {_one_line(error)}; UNPROMPT_TRACEBACK=1 shows where")
    return EXIT_INTERNAL


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
