"""`unprompt vocabulary`: which terms there are, what is wrong with a list, and vectors made ahead."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.options import (
    CacheFolder,
    ClipModel,
    ClipWeights,
    Exclude,
    Offline,
    Quiet,
    Threads,
    VocabularySources,
    Without,
)
from unprompt.cli.steps import Steps
from unprompt.cli.terminal import quiet_pipe, say, show
from unprompt.errors import EXIT_FINE, DataError, UnknownNameError
from unprompt.models.store.hub_cache import go_offline
from unprompt.models.store.weights import HUB

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
def list_terms(
    name: Annotated[
        str | None, typer.Argument(metavar="LIST", help="Print the terms of this list, one a line. Left out: a table.")
    ] = None,
    vocabulary: VocabularySources = None,
    without: Without = None,
    exclude: Exclude = None,
) -> None:
    """List the lists of a vocabulary, or the terms of one of them.

    Count is how many terms of a list mode classic takes; no prompt has more than the limit.
    """
    chosen = _chosen(vocabulary, without, exclude)
    if name is None:
        _show_lists(chosen)
    else:
        _print_terms(chosen, name)


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE", help="Lists, or folders of .txt files.")],
) -> None:
    """Read lists as they would be used, and say what was dropped and why.

    Exit code 2 where a list cannot be used.
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
def build(
    clip: ClipModel = "embedded",
    weights: ClipWeights = HUB,
    vocabulary: VocabularySources = None,
    without: Without = None,
    exclude: Exclude = None,
    cache: CacheFolder = None,
    threads: Threads = 0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Make the vectors of all terms ahead, so that no later run waits for them.

    What is there already is not made anew, and a run that was stopped goes on. Models of open_clip need the extra
    [torch].
    """
    from unprompt.display import printable
    from unprompt.towers.opening import open_towers
    from unprompt.vocabulary.tables import TermTables, default_cache

    if offline:
        go_offline()
    chosen = _chosen(vocabulary, without, exclude)
    folder = Path(cache) if cache else default_cache()
    _check_writable(folder)
    tables = TermTables(open_towers(clip, weights=weights, threads=threads), folder)
    steps = Steps(quiet=quiet)
    for category in chosen.categories:
        with steps(f"encoding {category.name}", len(category.terms), "terms") as advance:
            tables.table(category, advance)
    if not quiet:
        total = sum(len(category.terms) for category in chosen.categories)
        say(f"unprompt: the vectors of {total:,} terms are kept in {printable(str(folder))}")


def _chosen(sources: list[str] | None, without: list[str] | None, exclude: str | None) -> Vocabulary:
    from unprompt.vocabulary.vocabulary import UNPROMPT, load_vocabulary

    return load_vocabulary(sources or (UNPROMPT,), without=without or (), exclude=exclude)


def _show_lists(vocabulary: Vocabulary) -> None:
    from rich.table import Table

    table = Table()
    table.add_column("list", no_wrap=True)
    for heading in ("terms", "count", "limit", "weights"):
        table.add_column(heading, justify="right")
    table.add_column("begins with")
    for category in vocabulary.categories:
        numbers = (f"{len(category.terms):,}", str(category.count), str(category.limit or "-"))
        first = ", ".join(category.terms[:_FIRST_TERMS])
        table.add_row(_plain(category.name), *numbers, f"{len(category.weights) or '-'}", _plain(first))
    show(table)


def _print_terms(vocabulary: Vocabulary, name: str) -> None:
    category = vocabulary.category(name)
    if category is None:
        raise UnknownNameError("list", name, (each.name for each in vocabulary.categories))
    with quiet_pipe():
        print(*(_line(category, term) for term in category.terms), sep="\n", flush=True)


def _line(category: Category, term: str) -> str:
    """The term as a list has it."""
    weight = category.weights.get(term)
    return term if weight is None else f"({term}:{weight:g})"


def _show_check(file: TermFile) -> None:
    from unprompt.display import printable

    with quiet_pipe():
        kept = len(file.category.terms)
        print(f"{printable(str(file.path))}: {kept:,} kept, {file.dropped_count:,} dropped")
        for dropped in file.dropped:
            print(f"  line {dropped.line:,}: {dropped.reason}: {printable(dropped.text)}")
        if more := file.dropped_count - len(file.dropped):
            print(f"  and {more:,} more", flush=True)


def _say_error(error: DataError) -> int:
    """Says it; the exit code that the command ends with after all."""
    say(f"unprompt: {error}")
    return error.exit_code


def _check_writable(folder: Path) -> None:
    """Raises DataError where vectors could not be kept: elsewhere that is no reason to stop, here it is all."""
    from unprompt.durable import write_errors

    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def _plain(text: str) -> str:
    """A cell without markup."""
    from rich.markup import escape

    from unprompt.display import printable

    return escape(printable(text))
