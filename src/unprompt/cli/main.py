"""The command line: its commands, its default command, and what becomes of errors."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unprompt.cli import (
    bank,
    codebook,
    data,
    evaluate,
    interrogate,
    kaggle,
    metadata,
    models,
    predict,
    presets,
    similar,
    train,
    vocabulary,
)
from unprompt.errors import EXIT_INTERNAL, EXIT_INTERRUPTED, UnpromptError

EPILOG = (
    "Exit codes: 0 all is fine, 1 a fault of unprompt, 2 the command cannot be done as it was asked for, "
    "3 some pictures failed and the others were answered, 130 interrupted. "
    "A file that is called like a command is reached by ./NAME."
)

DEFAULT_COMMAND = "predict"


class DefaultCommand(TyperGroup):
    """Takes what begins with neither a command nor an option of the app for arguments of the default command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command's name in front where it was left out."""
        own = {name for parameter in self.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)}
        if args and args[0] not in self.commands and args[0].partition("=")[0] not in own:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


# Plain help: rich would cost more time than all the rest of `unprompt --help`.
app = typer.Typer(
    name="unprompt",
    cls=DefaultCommand,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
)
app.command("predict", epilog=EPILOG)(predict.predict)
app.command("interrogate", epilog=EPILOG)(interrogate.interrogate)
app.command("metadata", epilog=EPILOG)(metadata.metadata)
app.command("score")(predict.score)
app.command("similar", epilog=EPILOG)(similar.similar)
app.command("evaluate", epilog=EPILOG)(evaluate.evaluate)
app.command("train")(train.train)
app.add_typer(data.app, name="data")
app.add_typer(bank.app, name="bank")
app.add_typer(codebook.app, name="codebook")
app.add_typer(models.app, name="models")
app.add_typer(kaggle.app, name="kaggle")
app.add_typer(presets.app, name="presets")
app.add_typer(vocabulary.app, name="vocabulary")


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

    `unprompt PATH...` is the same as `unprompt predict PATH...`, with the same options.
    """


def main() -> int:
    """Run the command line on sys.argv; returns the exit code, or raises SystemExit with it."""
    # Pictures come damaged: what Pillow has to say about that is said once, by us.
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a prompt may hold what the terminal's encoding cannot
        if stream is None:  # closed by the caller, who wants none of it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as the process runs
    try:
        app(prog_name="unprompt")
    except UnpromptError as error:
        print(f"unprompt: {_one_line(error)}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        return EXIT_INTERRUPTED if _is_interrupt(error) else _fault(error)
    return 0


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether a Ctrl-C is behind it: compiled modules make an ImportError of one that comes while they load."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _fault(error: Exception) -> int:
    if os.environ.get("UNPROMPT_TRACEBACK"):
        traceback.print_exception(error)
    else:
        kind = type(error).__name__
        print(
            f"unprompt: a fault of ours: {kind}: {_one_line(error)}; UNPROMPT_TRACEBACK=1 shows where", file=sys.stderr
        )
    return EXIT_INTERNAL


def _one_line(error: Exception) -> str:
    from unprompt.display import printable

    return printable(" ".join(str(error).split()))
