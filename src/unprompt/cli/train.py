"""`unprompt train`: from a recipe to a trained run."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from unprompt.cli.options import MOST_THREADS, Offline, Quiet, on_this_machine
from unprompt.cli.progress import Steps, announced
from unprompt.cli.terminal import report, say
from unprompt.display import printable
from unprompt.errors import EXIT_INTERRUPTED, DataError, needing
from unprompt.progress import no_report


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train, on which data, and how.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Values that replace the recipe's, such as optimisation.epochs=3."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=on_this_machine,
            metavar="FOLDER",
            help="The run's folder. Default: runs/NAME, with the recipe's name.",
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            metavar="N",
            min=0,
            max=MOST_THREADS,
            help="Processes that train together; 0: one per GPU.",
        ),
    ] = 0,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe.

    Needs the extra [torch]. The same command continues a run that was stopped. On several GPUs, one process trains
    on each; torchrun and accelerate may start them too. The best scores are printed at the end. `unprompt models
    export` then makes a model of the run that needs no torch.
    """
    folder = output or Path("runs") / recipe.stem
    if not recipe.is_file():  # before torch takes its seconds
        raise DataError(
            f"expected a recipe, a TOML file, found none by the name {printable(str(recipe))}; check the path: "
            "docs/training.md lists those of the repository's folder recipes/"
        )
    with announced("loading torch", quiet=quiet):
        run = training()
    if "WORLD_SIZE" not in os.environ and (count := processes or run.gpu_count()) > 1:
        _together(count, folder)
        return
    say_line = no_report if quiet else report
    best = run.train_recipe(recipe, overrides or [], folder, say_line, Steps(quiet=quiet))
    if os.environ.get("RANK", "0") == "0":
        for metric, value in best.items():
            print(f"{metric}\t{value:.4f}")


def training() -> ModuleType:
    """The module `unprompt.training.run`. Raises MissingExtraError if what it imports is not installed."""
    with needing("torch", "training"):
        from unprompt.training import run
    return run


def _together(count: int, folder: Path) -> None:
    """Runs this very command in several processes on this machine, which find each other as torchrun's would.

    The first writes to the terminal, each other one to a log in `folder`. If one fails, ends the others and raises
    typer.Exit with its exit code.
    """
    import socket
    import subprocess

    from unprompt.durable import write_errors

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "unprompt", *sys.argv[1:]]
    with contextlib.ExitStack() as stack:
        processes = []
        for rank in range(count):
            log = stack.enter_context(_log_of(folder, rank).open("wb")) if rank else None
            environment = {**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(subprocess.Popen(command, env=environment, stderr=log))
            stack.callback(processes[-1].terminate)
        while None in (codes := [process.poll() for process in processes]) and not any(codes):
            time.sleep(0.1)
        if any(codes):
            with contextlib.suppress(subprocess.TimeoutExpired):  # the others fail because the first has
                processes[0].wait(timeout=10)
            rank, code = next((rank, process.poll()) for rank, process in enumerate(processes) if process.poll())
            if rank:
                say(f"process {rank} failed; {_log_of(folder, rank)} says why")
            raise typer.Exit(code if code and code > 0 else EXIT_INTERRUPTED)


def _log_of(folder: Path, rank: int) -> Path:
    return folder / f"process-{rank}.log"
