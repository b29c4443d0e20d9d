"""Where the command line speaks: data to standard output or a file, messages to standard error."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import typer

from unprompt.display import printable
from unprompt.errors import EXIT_FINE, DataError

if TYPE_CHECKING:
    from rich.table import Table

    from unprompt.images.selection import Selection
    from unprompt.output.formats import Line, Writer
    from unprompt.prediction import Failure

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGE_BLOCK_BYTES = 2**20
SMALL_BLOCK_BYTES = 2**17
_UNBOUNDED = 1000  # columns
RESUMES = "unprompt.resumes"
"""The key under which typer's context knows that a command has --resume, for what is said of a full disk."""


def return_memory(least_bytes: int = LARGE_BLOCK_BYTES) -> None:
    """Asks the C library to give blocks of this size back at once.

    With pictures of all sizes it would keep 30 to 90 MB. While models are loaded, which takes each matrix through two
    forms, it would keep 60 MB more, of blocks down to `SMALL_BLOCK_BYTES`. Only glibc knows the call; other C libraries
    are left as they are.
    """
    import ctypes

    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is not None and hasattr(library, "mallopt"):
        library.mallopt(_M_TRIM_THRESHOLD, least_bytes)
        library.mallopt(_M_MMAP_THRESHOLD, least_bytes)


def columns() -> int:
    """The width of standard output, or what is usual where that is no terminal."""
    from unprompt.output.pages import COLUMNS

    return shutil.get_terminal_size((COLUMNS, 24)).columns if sys.stdout.isatty() else COLUMNS


def report(line: str) -> None:
    """A line to standard error, whatever is in it; that nobody reads there is no reason to stop."""
    with contextlib.suppress(OSError):
        print(printable(line), file=sys.stderr, flush=True)


def say(message: object) -> None:
    """A message to standard error, with the name of the program in front."""
    report(f"unprompt: {message}")


def say_failure(failure: Failure) -> None:
    """One line for a picture that got no answer."""
    say(f"{failure.source}: {failure.message}")


def say_passed_over(selection: Selection) -> None:
    """One line for the files of known formats that folders and patterns passed over, if there were any."""
    if line := selection.line():
        say(line)


def print_lines(*lines: str) -> None:
    """Lines to standard output. Raises as `quiet_pipe` does."""
    with quiet_pipe():
        print(*lines, sep="\n", flush=True)


def new_table(*headings: str, right: Collection[str] = (), title: str = "", header: bool = True) -> Table:
    """A table; the columns in `right` are right-aligned, as numbers are."""
    from rich.table import Table

    table = Table(title=cell(title) or None, title_justify="left", show_header=header)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table


def add_row(table: Table, *values: object) -> None:
    """A row of a table, each value as its text."""
    table.add_row(*map(cell, values))


def cell(value: object) -> str:
    """Text without markup and control characters: names and configs come from elsewhere."""
    from rich.markup import escape

    return escape(printable(str(value)))


def show(table: Table) -> None:
    """A table to standard output, in lines that fit it: see `_table_columns`."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            raise  # what rich is handling; it would exit with 1

    with quiet_pipe():
        Screen(width=_table_columns()).print(table)
        sys.stdout.flush()


def fits(table: Table) -> bool:
    """Whether standard output has the room for a table without folding any of its cells."""
    from rich.console import Console

    console = Console()
    needed = console.measure(table, options=console.options.update(width=_UNBOUNDED)).maximum
    return needed <= (_table_columns() or console.width)


def _table_columns() -> int | None:
    """The width of tables: None, the terminal's; elsewhere what COLUMNS says, or what fits mails and issues."""
    from unprompt.output.pages import COLUMNS

    if sys.stdout.isatty():
        return None
    wanted = os.environ.get("COLUMNS", "")
    return int(wanted) if re.fullmatch("[1-9][0-9]{1,4}", wanted) else COLUMNS


@contextlib.contextmanager
def writing(format: str | None, output: str | None, line: Line, *, excel: bool = False) -> Iterator[Writer]:
    """A writer to the file `output` or to standard output. What was written is kept, whatever happens inside.

    Raises DataError if the file cannot be written.
    """
    from unprompt.output.formats import format_of, open_writer
    from unprompt.output.placing import placed_file

    name = format_of(format, output)
    with quiet_pipe(), placed_file(output) as path, open_writer(name, path, line, excel=excel) as writer:
        yield writer


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """Ends the command quietly when whoever reads standard output has had enough, as `head` does.

    Raises DataError if standard output takes no more for another reason, such as a full disk.
    """
    try:
        yield
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            raise DataError(f"cannot write to standard output: {error.strerror or error}") from error
        # Python flushes standard output once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(EXIT_FINE) from error
