"""Pictures a second of the whole training loop beside the bare forward and backward pass of the same network.

    python benchmarks/training.py ../shared/data/pairs [KEY=VALUE...] [--steps 24] [--turns 3]

The loop reads, decodes, augments and normalises pictures, clips gradients, steps AdamW and the average of weights; the
bare pass repeats forward and backward on one batch that lies ready. Both take turns in one process, on a GPU where
there is one; there the network's floating-point operations are also set against the card's peak.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from unprompt.progress import SILENT, Advance, no_report
from unprompt.training.loop import AUTOCAST, Batch, train
from unprompt.training.processes import Processes
from unprompt.training.recipe import Recipe
from unprompt.training.recipe_file import read_recipe
from unprompt.training.regressor import RegressorTask

RECIPE = Path(__file__).parent.parent / "recipes" / "embedded-vit.toml"
FIXED = ("network.weights=random", "probe.epochs=0", "optimisation.epochs=1", "optimisation.evaluations=1")
WARM_STEPS = 4
VALIDATION = 64  # pictures: evaluations are not what is measured
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
"""Dense bf16, by the makers' data sheets."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, help="a folder with train.jsonl and val.jsonl")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--turns", type=int, default=3)
    chosen = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        recipe = _recipe(chosen.pairs, chosen.overrides, chosen.steps, Path(scratch))
        rates: dict[str, list[float]] = {"bare forward and backward": [], "the whole loop": []}
        for turn in range(chosen.turns):
            task = RegressorTask(recipe, Path(scratch) / "data", print, SILENT)
            rates["the whole loop"].append(_loop(task, recipe, Path(scratch) / str(turn), device))
            rates["bare forward and backward"].append(_bare(task, recipe, chosen.steps, device))
        _print(rates, task, recipe, device)


def _recipe(pairs: Path, overrides: list[str], steps: int, scratch: Path) -> Recipe:
    """The embedded recipe on as many pictures as the steps take."""
    recipe = read_recipe(RECIPE, [*FIXED, *overrides])
    counts = {"train": steps * recipe.optimisation.batch_size, "val": VALIDATION}
    for name, count in counts.items():
        lines = (pairs / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        if len(lines) < count:
            raise SystemExit(
                f"expected {count} pictures in {pairs}/{name}.jsonl, found {len(lines)}; take fewer --steps"
            )
        chosen = lines[:: len(lines) // count][:count]
        (scratch / f"{name}.jsonl").write_text("\n".join(chosen), encoding="utf-8")
    (scratch / "images").symlink_to((pairs / "images").resolve(), target_is_directory=True)
    data = replace(recipe.data, train=str(scratch / "train.jsonl"), validation=str(scratch / "val.jsonl"))
    return replace(recipe, data=data)


def _loop(task: RegressorTask, recipe: Recipe, folder: Path, device: torch.device) -> float:
    """Pictures a second between the first steps and the last."""
    times: list[float] = []

    def advance(done: int) -> None:
        _wait_for(device)
        times.append(time.perf_counter())

    @contextlib.contextmanager
    def step(name: str, total: int | None, what: str = "prompts") -> Iterator[Advance]:
        yield advance

    train(task, recipe, recipe.optimisation, folder, no_report, processes=Processes(0, 1, device), step=step)
    steps = len(times) - 1 - WARM_STEPS  # the first time is told before any step
    return steps * recipe.optimisation.batch_size / (times[-1] - times[WARM_STEPS])


def _bare(task: RegressorTask, recipe: Recipe, steps: int, device: torch.device) -> float:
    batch = next(iter(task.batches(0, recipe.optimisation.batch_size, 0, slice(None))))
    batch = {key: value.to(device) for key, value in batch.items()}
    task.model.train()
    for _ in range(WARM_STEPS):
        _pass(task, recipe, batch, device)
    _wait_for(device)  # otherwise the warm steps would still run within the time that is taken
    started = time.perf_counter()
    for _ in range(steps - WARM_STEPS):
        _pass(task, recipe, batch, device)
    _wait_for(device)
    return (steps - WARM_STEPS) * recipe.optimisation.batch_size / (time.perf_counter() - started)


def _wait_for(device: torch.device) -> None:
    """Until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def _pass(task: RegressorTask, recipe: Recipe, batch: Batch, device: torch.device) -> None:
    task.model.zero_grad(set_to_none=True)
    precision = AUTOCAST.get(recipe.optimisation.precision)
    with torch.autocast(device.type, precision, enabled=precision is not None):
        loss = task.loss(task.model, batch)
    loss.backward()


def _print(rates: dict[str, list[float]], task: RegressorTask, recipe: Recipe, device: torch.device) -> None:
    options = recipe.optimisation
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{recipe.network.name}, batches of {options.batch_size}, {options.precision}, {where}")
    bare = statistics.median(rates["bare forward and backward"])
    print(f"{'':28}{'pictures/s':>12}{'ratio':>8}   by turn")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:28}{median:12.1f}{median / bare:8.2f}   {', '.join(f'{value:.1f}' for value in values)}")
    turns = zip(rates["the whole loop"], rates["bare forward and backward"], strict=True)
    print(f"{'loop / bare, median of turns':28}{statistics.median(loop / alone for loop, alone in turns):20.2f}")
    if device.type == "cuda":
        _print_share_of_peak(rates, task, recipe, device)


def _print_share_of_peak(
    rates: dict[str, list[float]], task: RegressorTask, recipe: Recipe, device: torch.device
) -> None:
    batch = next(iter(task.batches(0, recipe.optimisation.batch_size, 0, slice(None))))
    batch = {key: value.to(device) for key, value in batch.items()}
    with FlopCounterMode(display=False) as counter:
        _pass(task, recipe, batch, device)
    a_picture = counter.get_total_flops() / recipe.optimisation.batch_size
    tflops = a_picture * statistics.median(rates["the whole loop"]) / 1e12
    peak = next((value for name, value in PEAK_TFLOPS.items() if name in torch.cuda.get_device_name()), None)
    share = f", {tflops / peak:.2f} of the card's peak" if peak else ""
    print(f"{tflops:.1f} TFLOP/s in the loop{share}; {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
