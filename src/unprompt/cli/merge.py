"""`unprompt merge`: the parts of a run put together in the order of the input."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from unprompt.cli.options import AnswerFormat, Excel, OutputFile, Overwrite, Quiet
from unprompt.cli.progress import Steps
from unprompt.cli.sharding import command_for, said_missing
from unprompt.cli.terminal import quiet_pipe, say
from unprompt.errors import EXIT_FINE, EXIT_SOME_FAILED, DataError

if TYPE_CHECKING:
    from unprompt.scale.merging import Missing, Placed
    from unprompt.scale.runs import Run


class Target(Protocol):
    """Takes the records in order."""

    def __call__(self, placed: Placed, /) -> None:
        """Write one."""


def merge(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="The -o folder of a run in shards.")],
    output: OutputFile = None,
    overwrite: Overwrite = False,
    format: AnswerFormat = None,
    excel: Excel = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write what is there, although parts are missing.")
    ] = False,
    positions: Annotated[
        bool, typer.Option("--positions", help="Keep each record's position in the input; for json and jsonl.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Put the parts of a run in shards together.

    The records come in the order of the input and are those of one run over all pictures, to the byte. If parts are
    missing, nothing is written: the error says which, and the command that computes them. Records are jsonl unless
    --format or the ending of FILE says otherwise.
    """
    from unprompt.scale.merging import missing_shards, parts_of
    from unprompt.scale.places import place_at
    from unprompt.scale.runs import read_run

    place = place_at(folder)
    run = read_run(place)
    format = _format(format, output, positions=positions)
    if excel and format != "csv":
        raise DataError(f"--excel is for csv, found {format}; omit it, or write csv: -o FILE.csv")
    wanted = _Wanted(format, output, positions=positions, excel=excel)
    if (shards := missing_shards(place, run)) and not partial:
        raise DataError(said_missing(place, run, shards))
    with place.local() as parts:
        _check_target(output, parts_of(parts, run), overwrite=overwrite)
        raise typer.Exit(_merge(parts, run, wanted, partial=partial, quiet=quiet))


@dataclass(frozen=True)
class _Wanted:
    """What is written, and how."""

    format: str
    output: str | None
    _: KW_ONLY
    positions: bool
    excel: bool


def _merge(folder: Path, run: Run, wanted: _Wanted, *, partial: bool, quiet: bool) -> int:
    from unprompt.scale.merging import Missing, merged, parts_of

    parts = parts_of(folder, run)
    steps, missing, failed, count = Steps(quiet=quiet), Missing(), 0, 0
    with steps("checking the parts", run.pictures, "pictures") as advance:
        for placed in merged(parts, run, missing):
            failed += placed.is_failure
            count += 1
            advance(1)
    if missing.count and not partial:
        raise DataError(_said_lacking(run, missing))
    with _opened(wanted, run) as write, steps("merging", count, "pictures") as advance:
        for placed in merged(parts, run, Missing()):
            write(placed)
            advance(1)
    if not quiet:
        lacking = f", {missing.count:,} are missing" if missing.count else ""
        say(f"{count:,} of {run.pictures:,} pictures: {count - failed:,} answered, {failed:,} failed{lacking}")
    return EXIT_SOME_FAILED if failed or missing.count else EXIT_FINE


def _format(name: str | None, output: str | None, *, positions: bool) -> str:
    from unprompt.output.formats import format_of

    found = "jsonl" if name is None and output is None else format_of(name, output)
    if positions and found not in ("json", "jsonl"):
        raise DataError(f"positions are written as json or jsonl, found {found}; omit --positions or choose --format")
    return found


def _said_lacking(run: Run, missing: Missing) -> str:
    """Which pictures are missing from parts that are there, and how to compute them."""
    from unprompt.scale.shards import part_name

    positions = ", ".join(map(str, missing.first)) + (", ..." if missing.count > len(missing.first) else "")
    lacking = f"expected {run.pictures:,} pictures, found {missing.count:,} of them in no part: positions {positions}"
    if run.shards is None:
        return f"{lacking}; the same command computes them"
    shard = missing.first[0] % run.shards
    return f"{lacking}; remove its {part_name(shard)} and compute it with: {command_for(run, shard)}"


def _check_target(output: str | None, parts: list[Path], *, overwrite: bool) -> None:
    from unprompt.output.documents import check_new

    if output is not None and Path(output).resolve() in [part.resolve() for part in parts]:
        raise DataError(f"expected another file to write than a part of the run, found {output}")
    check_new(output, overwrite=overwrite)


@contextlib.contextmanager
def _opened(wanted: _Wanted, run: Run) -> Iterator[Target]:
    """Where the records go. A file of lines takes its place when all are in it."""
    if wanted.format != "jsonl":
        with _records(wanted, run) as target:
            yield target
        return
    from unprompt.durable import replacing_file
    from unprompt.output.files import plain_place

    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_pipe())
        if wanted.output is None:
            file = sys.stdout.buffer
        else:
            file = stack.enter_context(replacing_file(plain_place(wanted.output, "records")))

        def write(placed: Placed) -> None:
            start = b'{"position": %d, ' % placed.position if wanted.positions else b"{"
            file.write(start + placed.line[1:] + b"\n")

        yield write
        file.flush()


@contextlib.contextmanager
def _records(wanted: _Wanted, run: Run) -> Iterator[Target]:
    from unprompt.output.formats import open_writer
    from unprompt.output.text import prompt_line
    from unprompt.scale.listing import POSITION

    def line(record: dict[str, Any]) -> str | None:
        return prompt_line(record, named=run.pictures > 1)

    text, embedding = run.options.get("phrasing") is not None, bool(run.options.get("embedding"))
    with (
        quiet_pipe(),
        open_writer(wanted.format, wanted.output, line, text=text, embedding=embedding, excel=wanted.excel) as writer,
    ):

        def write(placed: Placed) -> None:
            record = json.loads(placed.line)
            writer.write({POSITION: placed.position, **record} if wanted.positions else record)

        yield write
