"""`unprompt codebook`: what many prompts gather around, to draw a preset's vectors towards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unprompt.cli.options import Quiet
from unprompt.cli.steps import Steps
from unprompt.cli.terminal import say
from unprompt.cli.vectors import Cache, kept_vectors

app = typer.Typer(no_args_is_help=True)


@app.callback()
def codebook() -> None:
    """Build codebooks, which draw the vectors of a preset towards what people ask for."""


@app.command()
def build(
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXTS...",
            help="A .txt with a prompt a line, or pictures with their prompts and captions: see 'unprompt data'.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The model folder to write.")],
    size: Annotated[
        int, typer.Option("--size", metavar="N", min=1, help="Vectors that stand for all texts: 384 bytes each.")
    ] = 2000,
    apart_from: Annotated[
        str | None,
        typer.Option(
            "--apart-from",
            metavar="DATASET",
            help="Leave out texts that are similar (cosine of 0.7 or more) to a prompt of these: what the preset is to "
            "be measured on. A .txt, or pictures with their prompts.",
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", metavar="NAME", help="Of the texts, if you know it.")
    ] = "unknown",
    cache: Cache = None,
    threads: Annotated[
        int, typer.Option("--threads", metavar="N", min=0, help="Threads that encode texts; 0 is one a core.")
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Build a codebook: the vectors that many texts gather around, without the texts.

    The [codebook] of a preset names it. A text takes some milliseconds of a core, once: its vector is kept for the next
    time, and a run that was stopped goes on. What lies in FOLDER is replaced if it is a codebook; its README.md stays.
    """
    from unprompt.display import printable
    from unprompt.training.codebook import build_codebook

    with kept_vectors(cache, threads) as store:
        built = build_codebook(
            texts, output, store, size=size, apart_from=apart_from, licence=licence, step=Steps(quiet=quiet)
        )
    if not quiet:
        say(f"unprompt: {size:,} vectors for {built.config['prompts']:,} texts are in {printable(str(output))}")
