"""`unprompt similar`: the prompts of a bank that are most like a picture."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.clip_options import Weights
from unprompt.cli.options import OutputFormat, Overwrite, PictureOptions, Quiet, Threads, option_groups
from unprompt.cli.progress import Steps, announced
from unprompt.cli.terminal import return_memory, say_failure, writing
from unprompt.errors import EXIT_SOME_FAILED, DataError
from unprompt.models.store.weights import HUB

if TYPE_CHECKING:
    from unprompt.bank.bank import Bank
    from unprompt.bank.index import Index
    from unprompt.images.decode import Picture
    from unprompt.output.records import Record
    from unprompt.prediction import Candidate, Failure
    from unprompt.towers.two_tower import TwoTower

_ENCODED = 8
"""Pictures that are in memory together."""

_ROWS = ("csv", "parquet", "html")
"""Formats with one text for each picture."""

_SEARCHED = 64
"""Pictures for which the bank is read once."""


@option_groups
def similar(
    *,
    bank: Annotated[
        Path | None,
        typer.Option(
            "--bank",
            metavar="BANK",
            help="The folder of a bank: see 'unprompt bank'. Default: 12,217 prompts that come with the package.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Prompts per picture.")] = 10,
    weights: Weights = HUB,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="Search by the bank's index: see 'unprompt bank index'.")
    ] = False,
    format: OutputFormat = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to FILE instead of standard output, as its ending says: .txt, .json or .jsonl.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    threads: Threads = 0,
    pictures: PictureOptions,
    quiet: Quiet = False,
) -> None:
    """Find the prompts of a bank that are most like a picture.

    Prints one line per prompt: the cosine in the space of the bank's model, a tab, the prompt; with several pictures,
    the path and a tab come first. Every prompt of the bank is compared; --approximate compares some of them, which is
    faster for single pictures and misses a few. A prompt that the file itself holds is ignored.
    """
    from unprompt.bank.bank import Bank
    from unprompt.bank.index import Index
    from unprompt.bank.layout import PACKAGED
    from unprompt.images.sources import may_be_many
    from unprompt.output.documents import check_new
    from unprompt.output.formats import format_of
    from unprompt.output.records import failure_record, scores_record
    from unprompt.prediction import Failure
    from unprompt.towers.opening import open_towers

    format = format_of(format, output)
    if format in _ROWS:  # now, and not once a file is begun
        raise DataError(f"expected --format text, json or jsonl, found {format}: a picture has several prompts")
    check_new(output, overwrite=overwrite)
    return_memory()
    with announced("opening the bank and its model", quiet=quiet):
        opened = Bank.open(bank or PACKAGED)
        searched = Index.open(opened) if approximate else opened
        towers = open_towers(opened.config.makers.model, weights=weights, threads=threads)
        opened.check_model(towers)
    decoded = pictures.decoded(towers.shorter_side, quiet=quiet)
    several = len(pictures.paths) > 1 or may_be_many(pictures.paths[0])
    failed = False
    with (
        writing(format, output, functools.partial(_lines, named=several)) as writer,
        Steps(quiet=quiet)("searching", None, "pictures") as advance,
    ):
        for source, found in _found(decoded, opened, searched, towers, top):
            advance(1)
            if isinstance(found, Failure):
                failed = True
                say_failure(found)
                writer.write(failure_record(found))
            else:
                writer.write(scores_record(source, found))
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _found(
    decoded: Iterable[Picture | Failure], bank: Bank, searched: Bank | Index, towers: TwoTower, top: int
) -> Iterator[tuple[str, list[Candidate] | Failure]]:
    """The nearest prompts of each picture, in order."""
    import numpy as np

    from unprompt.prediction import Candidate, Failure

    items = iter(decoded)
    while True:
        read: list[Failure | str] = []
        vectors = []
        while len(read) < _SEARCHED and (batch := list(islice(items, _ENCODED))):
            read += [item if isinstance(item, Failure) else item.source for item in batch]
            if pictures := [item for item in batch if not isinstance(item, Failure)]:
                vectors.append(towers.encode_images(pictures))
        if not read:
            return
        neighbours = iter(searched.nearest(np.concatenate(vectors), top) if vectors else [])
        for item in read:
            if isinstance(item, Failure):
                yield item.source, item
                continue
            rows, similarities = next(neighbours)
            texts = zip(bank.texts(rows.tolist()), similarities.tolist(), strict=True)
            yield item, [Candidate(text, similarity, "bank") for text, similarity in texts]


def _lines(record: Record, *, named: bool) -> str | None:
    """A cosine, a tab and a prompt a line; `named` puts the source and a tab in front. None for a failure."""
    from unprompt.display import printable
    from unprompt.output.text import score_lines

    if "error" in record:
        return None
    lines = score_lines(record)
    source = printable(record["source"])
    return "\n".join(f"{source}\t{line}" for line in lines.split("\n")) if named else lines
