"""Where the command line speaks: data to standard output or a file, messages and bars to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from unprompt.cli.options import Format
from unprompt.errors import EXIT_FINE, DataError

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.output.records import Record
    from unprompt.output.writers import Writer
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


def format_of(format: Format | None, output: str | None) -> Format:
    """The format that was asked for or, where none was, the one that the file's ending says."""
    ending = Path(output or "").suffix.lower().removeprefix(".")
    return format or (Format(ending) if ending in ("json", "jsonl") else Format.TEXT)


@contextlib.contextmanager
def writing(format: Format | None, output: str | None, line: Callable[[Record], str | None]) -> Iterator[Writer]:
    """A writer to the file `output` or to standard output. What was written is kept, whatever happens inside.

    Raises DataError where the file cannot be written.
    """
    from unprompt.output.writers import writer

    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_opened(output)) if output else sys.stdout
        stack.enter_context(quiet_pipe())
        opened = writer(format_of(format, output).value, stream, line)
        stack.callback(opened.close)
        yield opened


def _opened(output: str) -> TextIO:
    from unprompt.images.sources import PICTURE_SUFFIXES

    if Path(output).suffix.lower() in PICTURE_SUFFIXES:
        raise DataError(f"expected a file for answers after -o, found {output}, which would overwrite a picture")
    try:
        return open(output, "w", encoding="utf-8")  # the caller's stack closes it
    except OSError as error:
        raise DataError(f"cannot write {output}: {error.strerror}") from error


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
