"""`unprompt codebook`: what many prompts gather around, to draw a preset's vectors towards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unprompt.cli.options import Licence, Quiet, TextThreads, on_this_machine
from unprompt.cli.progress import Steps
from unprompt.cli.terminal import say
from unprompt.cli.vectors import VectorCache, kept_vectors

app = typer.Typer(no_args_is_help=True)


@app.callback()
def codebook() -> None:
    """Build codebooks, which draw the vectors of a preset towards what people ask for."""


@app.command()
def build(
    texts: Annotated[
        list[Path],
        typer.Argument(
            metavar="TEXTS",
            help="A .txt with one prompt per line, or pictures with their prompts and captions: see 'unprompt data'.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", callback=on_this_machine, metavar="FOLDER", help="The model folder to write."),
    ],
    size: Annotated[
        int, typer.Option("--size", metavar="N", min=1, help="Vectors that stand for all texts, 384 bytes each.")
    ] = 2000,
    apart_from: Annotated[
        str | None,
        typer.Option(
            "--apart-from",
            metavar="DATASET",
            help="Leave out texts that are similar (cosine of 0.7 or more) to a prompt of DATASET, on which the preset "
            "will be measured: a .txt, or pictures with their prompts.",
        ),
    ] = None,
    licence: Licence = "unknown",
    cache: VectorCache = None,
    threads: TextThreads = 0,
    quiet: Quiet = False,
) -> None:
    """Build a codebook: the vectors that many texts gather around, without the texts.

    The [codebook] of a preset names it. A text takes some milliseconds of a core, once: its vector is kept for the next
    time, and the same command continues a run that was stopped. A codebook in FOLDER is replaced; its README.md stays.
    """
    from unprompt.training.codebook import build_codebook

    with kept_vectors(cache, threads) as store:
        built = build_codebook(
            texts, output, store, size=size, apart_from=apart_from, licence=licence, step=Steps(quiet=quiet)
        )
    if not quiet:
        say(f"{size:,} vectors for {built.config['prompts']:,} texts are in {output}")
