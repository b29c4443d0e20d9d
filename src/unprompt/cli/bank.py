"""`unprompt bank`: prompts with their vectors, to find those that are most like a picture."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from unprompt.cli.bank_shards import encode_shards, vectors_in
from unprompt.cli.clip_options import ClipOptions
from unprompt.cli.options import (
    MOST_THREADS,
    Licence,
    Offline,
    Quiet,
    SkipBad,
    TextThreads,
    on_this_machine,
    option_groups,
)
from unprompt.cli.progress import Steps
from unprompt.cli.sharding import ShardOptions
from unprompt.cli.terminal import say
from unprompt.errors import DataError

if TYPE_CHECKING:
    from unprompt.bank.building import Counts
    from unprompt.datasets.prompts import PromptSource

app = typer.Typer(no_args_is_help=True)

BankFolder: TypeAlias = Annotated[Path, typer.Argument(metavar="BANK", help="The folder of a bank.")]


@app.callback()
def bank() -> None:
    """Build banks of prompts, index them and verify them."""


@app.command()
@option_groups
def build(
    *,
    prompts: Annotated[
        list[str],
        typer.Argument(
            metavar="PROMPTS",
            help="Prompts, or pictures with their prompts, as 'unprompt data' reads them: a .txt with one per line, a "
            ".csv, .jsonl or .parquet file, or a folder of pictures with a .txt or .caption beside each.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", callback=on_this_machine, metavar="BANK", help="The folder of the bank.")
    ],
    clip: ClipOptions,
    numbers: Annotated[
        Literal["float16", "int8"],
        typer.Option(
            "--numbers",
            metavar="float16|int8",
            help="How vectors are stored: int8 takes half the space, and changes a cosine by some thousandths at most.",
        ),
    ] = "float16",
    licence: Licence = "unknown",
    sharding: ShardOptions,
    parts: Annotated[
        str | None,
        typer.Option("--parts", metavar="FOLDER", help="Take the vectors that shards have computed, the -o of these."),
    ] = None,
    threads: TextThreads = 0,
    skip_bad: SkipBad = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Build a bank of prompts.

    Each distinct prompt is kept once, with its vector by the --clip model and its vector by all-MiniLM-L6-v2. To
    continue a run that was stopped, give the same command again. Several machines encode the prompts in --shards; then
    --parts makes a bank of what they wrote. Models of open_clip need the extra [torch].
    """
    from unprompt.bank.building import Counts, build_bank
    from unprompt.datasets.prompts import PromptSource

    sources = [PromptSource(name, skip_bad=skip_bad, pictures=False) for name in prompts]
    if sharding.asked:
        from unprompt.scale.places import place_at

        place = place_at(output)
        sharding.chosen(place)
        towers = clip.towers(threads)
        raise typer.Exit(encode_shards(sharding, place, _prompts(sources), towers, numbers, threads, quiet=quiet))
    counts = Counts()
    with _locked(output, "wait for it, or choose another -o", "continues"):
        texts = _prompts(sources)()
        towers = clip.towers(threads)
        with vectors_in(parts, towers, numbers) as known:
            built = build_bank(
                texts,
                output,
                towers,
                numbers=numbers,
                card=_card(output, licence, prompts),
                threads=threads,
                counts=counts,
                step=Steps(quiet=quiet),
                known=known,
            )
    if not quiet:
        _say_built(output, len(built), counts, sources)


@app.command()
def index(
    bank: BankFolder,
    threads: Annotated[
        int,
        typer.Option(
            "--threads", metavar="N", min=0, max=MOST_THREADS, help="Threads that make the index; 0: one per core."
        ),
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Make the index by which --approximate searches a large bank.

    An index takes half the space of the vectors and, for millions of prompts, minutes to make. An existing one is
    replaced. Needs the extra [index]; searching does not.
    """
    from unprompt.bank.bank import Bank
    from unprompt.bank.index import LEAST, too_small
    from unprompt.bank.indexing import build_index

    opened = Bank.open(bank)
    if len(opened) < LEAST:
        raise too_small(opened)
    with _locked(bank, "wait for it", "starts over"):
        made = build_index(opened, Steps(quiet=quiet), threads)
    if not quiet:
        say(f"{bank} has an index of {len(opened):,} prompts in {made.config.lists:,} lists")


@app.command()
def verify(bank: BankFolder, quiet: Quiet = False) -> None:
    """Read every byte of a bank and its index, and say whether they are as they were made."""
    from unprompt.bank.bank import Bank
    from unprompt.bank.bank import verify as verify_bank
    from unprompt.bank.index import has_index, read_index_config, verify_index
    from unprompt.bank.layout import read_config

    config = read_config(bank)
    with Steps(quiet=quiet)("verifying", sum(file.size for file in config.files.values()), "bytes") as advance:
        verify_bank(bank, advance)
    told = ""
    if has_index(bank):
        opened = Bank.open(bank)
        index_size = sum(file.size for file in read_index_config(opened).files.values())
        with Steps(quiet=quiet)("verifying the index", index_size, "bytes") as advance:
            verify_index(opened, advance)
        told = ", with an index"
    if not quiet:
        say(f"{bank} is whole: {config.prompts:,} prompts, compared by {config.makers.model}{told}")


def _prompts(sources: list[PromptSource]) -> Callable[[], Iterator[str]]:
    """What reads all prompts, as often as it is asked to."""
    return lambda: (entry.prompt for source in sources for entry in source.entries())


@contextlib.contextmanager
def _locked(folder: Path, otherwise: str, again: str) -> Iterator[None]:
    """Keeps others from building in a folder; says what to do after Ctrl-C or when the disk is full.

    `otherwise` is what to do if another process builds there, `again` what the same command does when given again.
    """
    from unprompt.display import printable
    from unprompt.durable import locked, write_errors
    from unprompt.errors import OutputBusyError

    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder))
        except OutputBusyError as error:
            raise DataError(f"another unprompt builds {printable(str(folder))}; {otherwise}") from error
        try:
            with write_errors(folder, f"mend that, and the same command {again}"):
                yield
        except KeyboardInterrupt:
            say(f"interrupted; the same command {again}")
            raise


def _card(folder: Path, licence: str, prompts: list[str]) -> dict[str, str]:
    """What the config of every model folder says."""
    names = ", ".join(os.path.basename(name.rstrip("/")) for name in prompts)
    origin = f"built by unprompt bank build from {names}"
    return {"name": folder.resolve().name, "architecture": "bank", "licence": licence, "origin": origin}


def _say_built(folder: Path, kept: int, counts: Counts, sources: list[PromptSource]) -> None:
    from unprompt.bank.layout import LONGEST_PROMPT

    left_out = {
        "copies": counts.copies,
        "without text": counts.empty,
        f"longer than {LONGEST_PROMPT:,} characters": counts.too_long,
        "bad records": sum(source.faults.total() for source in sources),
    }
    told = ", ".join(f"{count:,} {what}" for what, count in left_out.items() if count)
    rest = f"; left out: {told}" if told else ""
    say(f"{kept:,} of {counts.read:,} prompts are in {folder}{rest}")
