"""`unprompt vocabulary`: which terms there are, what is wrong with a list, and vectors made ahead."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.clip_options import ClipOptions, TermCache, VocabularyOptions
from unprompt.cli.options import Offline, Quiet, TextThreads, option_groups
from unprompt.cli.progress import Steps
from unprompt.cli.terminal import add_row, new_table, print_lines, say, show
from unprompt.errors import EXIT_FINE, DataError, UnknownNameError

if TYPE_CHECKING:
    from unprompt.vocabulary.category import Category
    from unprompt.vocabulary.term_files import TermFile
    from unprompt.vocabulary.vocabulary import Vocabulary

app = typer.Typer(no_args_is_help=True)

_FIRST_TERMS = 3


@app.callback()
def vocabulary() -> None:
    """List and check the terms that pictures are compared with, and make their vectors ahead."""


@app.command("list")
@option_groups
def list_terms(
    *,
    name: Annotated[
        str | None,
        typer.Argument(metavar="LIST", help="Print the terms of this list, one per line. Default: show all lists."),
    ] = None,
    vocabulary: VocabularyOptions,
    quiet: Quiet = False,
) -> None:
    """List the lists of a vocabulary, or the terms of one of them.

    In the table, count is the number of a list's terms that --mode classic takes, limit the most that any prompt has.
    """
    chosen = vocabulary.load()
    if name is None:
        _show_lists(chosen)
    else:
        _print_terms(chosen, name)


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE", help="Lists, or folders of .txt files.")],
    quiet: Quiet = False,
) -> None:
    """Read lists as they would be used, and say what is dropped and why.

    The exit code is 2 if a list cannot be used.
    """
    from unprompt.vocabulary.term_files import read_terms, term_files

    code = EXIT_FINE
    files: list[Path] = []
    for path in paths:
        try:
            files += term_files(path)
        except DataError as error:
            code = _say_error(error)
    for file in files:
        try:
            _show_check(read_terms(file))
        except DataError as error:
            code = _say_error(error)
    raise typer.Exit(code)


@app.command()
@option_groups
def build(
    *,
    clip: ClipOptions,
    vocabulary: VocabularyOptions,
    cache: TermCache = None,
    threads: TextThreads = 0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Make the vectors of all terms ahead, so that no later run waits for them.

    Existing vectors are kept, and the same command continues a run that was stopped. Models of open_clip need the extra
    [torch].
    """
    from unprompt.vocabulary.tables import TermTables, default_cache

    chosen = vocabulary.load()
    folder = Path(cache) if cache else default_cache()
    _check_writable(folder)
    tables = TermTables(clip.towers(threads), folder, must_keep=True)
    steps = Steps(quiet=quiet)
    for category in chosen.categories:
        with steps(f"encoding {category.name}", len(category.terms), "terms") as advance:
            tables.table(category, advance)
    if not quiet:
        total = sum(len(category.terms) for category in chosen.categories)
        say(f"the vectors of {total:,} terms are kept in {folder}")


def _show_lists(vocabulary: Vocabulary) -> None:
    numbers = ("terms", "count", "limit", "weights")
    table = new_table("list", *numbers, "begins with", right=numbers)
    table.columns[0].no_wrap = True
    for category in vocabulary.categories:
        first = ", ".join(category.terms[:_FIRST_TERMS])
        cells = (category.count, category.limit or "-", len(category.weights) or "-", first)
        add_row(table, category.name, f"{len(category.terms):,}", *cells)
    show(table)


def _print_terms(vocabulary: Vocabulary, name: str) -> None:
    category = vocabulary.category(name)
    if category is None:
        raise UnknownNameError("list", name, (each.name for each in vocabulary.categories))
    print_lines(*(_line(category, term) for term in category.terms))


def _line(category: Category, term: str) -> str:
    """The term as a list has it."""
    weight = category.weights.get(term)
    return term if weight is None else f"({term}:{weight:g})"


def _show_check(file: TermFile) -> None:
    from unprompt.display import printable

    kept, more = len(file.category.terms), file.dropped_count - len(file.dropped)
    print_lines(
        f"{printable(str(file.path))}: {kept:,} kept, {file.dropped_count:,} dropped",
        *(f"  line {dropped.line:,}: {dropped.reason}: {printable(dropped.text)}" for dropped in file.dropped),
        *([f"  and {more:,} more"] if more else []),
    )


def _say_error(error: DataError) -> int:
    """Says it; returns the exit code that the command ends with after all."""
    say(error)
    return error.exit_code


def _check_writable(folder: Path) -> None:
    """Raises DataError if vectors could not be kept: elsewhere that is no reason to stop, here it is the purpose."""
    from unprompt.durable import write_errors

    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
