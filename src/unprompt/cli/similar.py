"""`unprompt similar`: the prompts of a bank that are most like a picture."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unprompt.cli.options import (
    AllowPrivateUrls,
    MemoryLimit,
    Offline,
    OutputFile,
    OutputFormat,
    Paths,
    PixelLimit,
    Threads,
    UrlLimit,
    UrlTimeout,
)
from unprompt.cli.terminal import return_memory, say_failure, writing
from unprompt.errors import EXIT_SOME_FAILED
from unprompt.models.store.hub_cache import go_offline
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

_SEARCHED = 64
"""Pictures for which the bank is read once."""


def similar(
    paths: Paths,
    bank: Annotated[Path, typer.Option("--bank", metavar="BANK", help="The folder of a bank: see 'unprompt bank'.")],
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Prompts of each picture.")] = 10,
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Weights of the bank's model, a safetensors file. Left out: those of the hub or its cache.",
        ),
    ] = HUB,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="Search by the index of the bank: see 'unprompt bank index'.")
    ] = False,
    format: OutputFormat = None,
    output: OutputFile = None,
    threads: Threads = 0,
    pixel_limit_mp: PixelLimit = 100.0,
    memory_limit_mb: MemoryLimit = 180.0,
    url_timeout_s: UrlTimeout = 30.0,
    url_limit_mb: UrlLimit = 64.0,
    allow_private_urls: AllowPrivateUrls = False,
    offline: Offline = False,
) -> None:
    """Find the prompts of a bank that are most like a picture.

    A line each: the cosine in the space of the bank's model, a tab, the prompt; where there are several pictures, with
    the path and a tab in front. Every prompt of the bank is compared; with --approximate some are, which is quicker for
    single pictures and misses some. What a file says about its prompt is not looked at.
    """
    from unprompt.bank.bank import Bank
    from unprompt.bank.index import Index
    from unprompt.images.decode import decode
    from unprompt.images.sources import image_refs, may_be_many
    from unprompt.images.web.limits import WebLimits
    from unprompt.output.records import failure_record, scores_record
    from unprompt.prediction import Failure
    from unprompt.towers.opening import open_towers

    if offline:
        go_offline()
    return_memory()
    opened = Bank.open(bank)
    searched = Index.open(opened) if approximate else opened
    towers = open_towers(opened.config.makers.model, weights=weights, threads=threads)
    opened.check_model(towers)
    web = WebLimits(url_timeout_s, url_limit_mb, allow_private=allow_private_urls, offline=offline)
    decoded = (
        decode(
            ref,
            shorter_side=towers.shorter_side,
            pixel_limit_mp=pixel_limit_mp,
            memory_limit_mb=memory_limit_mb,
            read_metadata=False,
        )
        for ref in image_refs(paths, web=web)
    )
    several = len(paths) > 1 or may_be_many(paths[0])
    failed = False
    with writing(format, output, functools.partial(_lines, named=several)) as writer:
        for source, found in _found(decoded, opened, searched, towers, top):
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
