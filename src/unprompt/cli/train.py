"""`unprompt train`: from a recipe to a trained run."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from unprompt.cli.terminal import say
from unprompt.errors import DataError, MissingExtraError

Advance = Callable[[str, int, int], None]


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train, on what, and how.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Values in place of the recipe's, such as optimisation.epochs=3."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="The run's folder. Left out: runs/ and the recipe's name."
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option("--processes", metavar="N", min=0, help="Processes that train together; 0 is one a GPU."),
    ] = 0,
) -> None:
    """Train a model by a recipe.

    Needs the extra [torch]. Started again on the folder of a run that was stopped, it goes on where that was. On
    several GPUs one process trains on each; torchrun and accelerate may start them as well. The best scores are
    printed at the end; `unprompt models export` makes a model of the run that needs no torch.
    """
    folder = output or Path("runs") / recipe.stem
    run = training()
    if "WORLD_SIZE" not in os.environ and (count := processes or run.gpu_count()) > 1:
        _together(count, folder)
        return
    with _shown() as (report, advance):
        best = run.train_recipe(recipe, overrides or [], folder, report, advance)
    if os.environ.get("RANK", "0") == "0":
        for metric, value in best.items():
            print(f"{metric}\t{value:.4f}")


def training() -> ModuleType:
    """The module `unprompt.training.run`. Raises MissingExtraError where what it imports is not installed."""
    try:
        from unprompt.training import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "unprompt":
            raise
        raise MissingExtraError("training", "torch") from error
    return run


def _together(count: int, folder: Path) -> None:
    """Runs this very command in several processes, by torchrun. Raises DataError where one of them fails."""
    import subprocess

    arguments = ["--standalone", f"--nproc-per-node={count}", "--module", "unprompt", *sys.argv[1:]]
    code = subprocess.run([sys.executable, "-m", "torch.distributed.run", *arguments], check=False).returncode
    if code:
        raise DataError(f"training in {count} processes ended with exit code {code}; {folder} holds what was reached")


@contextlib.contextmanager
def _shown() -> Iterator[tuple[Callable[[str], None], Advance]]:
    """What says a line and what moves the bar, which there is only on a terminal."""
    if not sys.stderr.isatty():
        yield say, lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("reading", total=None, rate="")
        stages = [""]

        def advance(stage: str, done: int, total: int) -> None:
            if stage != stages[0]:
                stages[0] = stage
                progress.reset(task, description=stage)
            speed = progress.tasks[0].speed
            progress.update(task, completed=done, total=total, rate=f"{speed:.1f}/s" if speed else "")

        yield lambda line: console.print(line, markup=False, highlight=False), advance
