"""Vectors of prompts that commands keep on disk: where, and what is said of them after Ctrl-C."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from unprompt.cli.terminal import say

if TYPE_CHECKING:
    from unprompt.datasets.vectors import VectorStore

VectorCache: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Folder for the vectors of prompts, 776 bytes each. Default: unprompt/vectors in the user's cache.",
    ),
]


@contextlib.contextmanager
def kept_vectors(cache: Path | None, threads: int) -> Iterator[VectorStore]:
    """The vectors that are kept, as is said after Ctrl-C; says which are of beginnings alone. Raises DataError."""
    from unprompt.datasets.vectors import VectorStore, default_cache

    with VectorStore(cache or default_cache(), threads) as store:
        try:
            yield store
        except KeyboardInterrupt:
            say("interrupted; the vectors that were made are kept, and the same command continues")
            raise
        if store.cut:
            say(
                f"{store.cut:,} of the prompts encoded now are longer than the encoder of sentences reads (about 200 "
                "words); they are known by their beginnings"
            )
