"""Where the command line speaks: data to standard output or a file, messages and bars to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from unprompt.cli.options import Format, RecordFormat
from unprompt.errors import EXIT_FINE

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.output.writers import Line, Writer
    from unprompt.prediction import Failure


def say(message: str) -> None:
    """A line to standard error."""
    print(message, file=sys.stderr, flush=True)


def say_failure(failure: Failure) -> None:
    """One line for a picture that got no answer."""
    from unprompt.images.sources import printable

    say(f"unprompt: {printable(failure.source)}: {printable(failure.message)}")


def show(table: Table) -> None:
    """A table to standard output; as wide as it needs to be where that is no terminal."""
    from rich.console import Console

    with quiet_pipe():
        Console(width=None if sys.stdout.isatty() else 1000).print(table)
        sys.stdout.flush()


def format_of(format: Format | RecordFormat | None, output: str | None) -> Format:
    """The format that was asked for or, where none was, the one that the file's ending says."""
    ending = Path(output or "").suffix.lower().removeprefix(".")
    known = {choice.value for choice in Format}
    return Format(format.value) if format else Format(ending) if ending in known else Format.TEXT


@contextlib.contextmanager
def writing(format: RecordFormat | None, output: str | None, line: Line) -> Iterator[Writer]:
    """A writer to the file `output` or to standard output. What was written is kept, whatever happens inside.

    Raises DataError where the file cannot be written.
    """
    from unprompt.output.writers import open_writer

    with quiet_pipe(), open_writer(format_of(format, output).value, output, line) as writer:
        yield writer


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """Ends the command quietly when whoever reads standard output has had enough, as `head` does."""
    try:
        yield
    except BrokenPipeError as error:
        # Python flushes standard output once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_FINE) from error


@contextlib.contextmanager
def progress(what: str, *, wanted: bool = True) -> Iterator[Callable[[int | None], None]]:
    """A bar on standard error, moved on by each call with the total, if it is known.

    Nothing is drawn where that is no terminal or none is wanted.
    """
    if not wanted or not sys.stderr.isatty():
        yield lambda total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Redirected, standard output would end up in standard error.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(what, total=None)
        yield lambda total: bar.update(task, advance=1, total=total)
