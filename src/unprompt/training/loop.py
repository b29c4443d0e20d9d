"""The training loop, the same for every task, on a CPU, a GPU or several.

The folder of a run holds `recipe.json`, `metrics.jsonl`, `metrics.png`, `checkpoint/` (weights, average, optimiser),
`best.safetensors` and, at the end, `last.safetensors`. Started again in the same folder, a run resumes with the same
batches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from unprompt.display import duration
from unprompt.durable import replace_file, write_errors
from unprompt.errors import DataError
from unprompt.progress import SILENT, Advance, Report, Step
from unprompt.training.averaging import MovingAverage, put
from unprompt.training.checkpoint import (
    newest_checkpoint,
    optimiser_tensors,
    read_group,
    restore_optimiser,
    write_checkpoint,
)
from unprompt.training.optimiser import adamw, set_rate, trainable
from unprompt.training.plot import METRICS, plot_metrics, read_metrics
from unprompt.training.processes import Processes
from unprompt.training.recipe import RUN_RECIPE, Optimisation, Recipe
from unprompt.training.recipe_file import recipe_of_run
from unprompt.training.weights import save_tensors

BEST, LAST = "best.safetensors", "last.safetensors"
STEPS_A_REPORT = 50
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}

Batch = dict[str, Tensor]


class Task(Protocol):
    """The parts of training that depend on the kind of model."""

    metric: str
    """The key of `evaluate` by which the best weights are selected (higher is better)."""

    @property
    def model(self) -> nn.Module:
        """The network, with every weight that the run's best weights must include."""

    def steps(self, batch_size: int) -> int:
        """Number of batches in an epoch."""

    def batches(self, epoch: int, batch_size: int, start: int, rows: slice) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on, reduced to `rows`; the same on every call."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """A scalar, averaged over the batch."""

    def depth_of(self, parameter: str) -> int:
        """Number of blocks above a parameter; -1 if it is frozen."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Metrics on validation data."""


def train(
    task: Task,
    recipe: Recipe,
    options: Optimisation,
    folder: Path,
    report: Report,
    *,
    processes: Processes,
    step: Step = SILENT,
) -> dict[str, float]:
    """Run, or resume, one of a recipe's optimisations in `folder`; returns the best evaluation.

    Raises DataError if `folder` holds a run of another recipe, or if the loss is no longer finite.
    """
    with processes.first_alone():
        claim(folder, recipe)
    run = _Run(task, recipe.name, options, folder, processes, report)
    run.resume()
    with step("training", run.total_steps * options.batch_size, "samples") as advance:
        advance(run.step * options.batch_size)
        if not run.best:
            run.evaluate()
        while run.step < run.total_steps:
            run.epoch(advance)
        run.finish()
    return run.best


def claim(folder: Path, recipe: Recipe) -> None:
    """Make `folder` that of a run of this recipe. Raises DataError if it cannot, or holds another recipe's run."""
    path = folder / RUN_RECIPE
    if not path.exists():
        with write_errors(path):
            folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(dataclasses.asdict(recipe), indent=2, sort_keys=True).encode())
    elif _what_counts(recipe_of_run(folder)) != _what_counts(recipe):
        raise DataError(f"{folder} holds a run of another recipe; choose another folder with --output or remove it")


def _what_counts(recipe: Recipe) -> Recipe:
    """The recipe without the settings that may change on resuming, since they do not affect the result."""
    options = {
        name: dataclasses.replace(getattr(recipe, name), checkpoint_minutes=0, checkpoint_gradients=False)
        for name in ("probe", "optimisation")
    }
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, workers=0), **options)


class _Run:
    """The state of a run, which checkpoints save."""

    def __init__(
        self,
        task: Task,
        name: str,
        options: Optimisation,
        folder: Path,
        processes: Processes,
        report: Report,
    ) -> None:
        self.task, self.name, self.options, self.folder, self.processes = task, name, options, folder, processes
        self.report = report
        self.model = task.model.to(processes.device)
        self.parameters = trainable(self.model, task.depth_of)
        self.frozen_norms = [module for module in self.model.modules() if _is_frozen_norm(module)]
        self.average = MovingAverage(self.parameters, options.ema)
        self.optimiser = adamw(self.parameters, task.depth_of, options)
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=options.precision == "fp16")
        self.epoch_steps = task.steps(options.batch_size)
        self.total_steps = self.epoch_steps * options.epochs
        self.evaluate_every = math.ceil(self.total_steps / (options.evaluations or max(1, options.epochs)))
        self.step = 0
        self.best: dict[str, float] = {}
        self.losses: list[Tensor] = []  # since the last report; as floats they would make a GPU wait at every step
        self.pace = _Pace(self.step)
        self.saved_at = time.monotonic()

    def epoch(self, advance: Advance) -> None:
        """Run the rest of the epoch that `step` belongs to."""
        number, start = divmod(self.step, self.epoch_steps)
        for batch in self.task.batches(number, self.options.batch_size, start, self.processes.rows):
            self.losses.append(self._update(batch))
            advance(self.options.batch_size)
            if self.step % STEPS_A_REPORT == 0 or self.step == self.total_steps:
                self._log_loss()
            if self.step % self.evaluate_every == 0 or self.step == self.total_steps:
                self.evaluate()
            elif time.monotonic() - self.saved_at > self.options.checkpoint_minutes * 60:
                self.save()

    def _update(self, batch: Batch) -> Tensor:
        """Make one step of the optimiser; returns the loss before it."""
        # Each step has its own seed for dropout and stochastic depth, so a resumed run equals an uninterrupted one.
        torch.manual_seed((self.options.seed * 1_000_003 + self.step) * self.processes.count + self.processes.rank)
        self.model.train()
        for norm in self.frozen_norms:
            norm.eval()
        set_rate(self.optimiser, self.options, self.step, self.total_steps)
        self.optimiser.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.processes.device)
        for part, share in _parts(batch, self.options.accumulate):
            part = {key: value.to(self.processes.device, non_blocking=True) for key, value in part.items()}
            with self._autocast():
                part_loss = self.task.loss(self.model, part) * share
            self.scaler.scale(part_loss).backward()
            loss += part_loss.detach()
        self.processes.average_gradients(self.parameters.values())
        self.scaler.unscale_(self.optimiser)
        if self.options.clip:
            nn.utils.clip_grad_norm_(list(self.parameters.values()), self.options.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        self.average.update(self.step)
        return loss

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        precision = AUTOCAST.get(self.options.precision)
        return torch.autocast(self.processes.device.type, precision, enabled=precision is not None)

    def _log_loss(self) -> None:
        loss = self.processes.mean(torch.stack(self.losses).mean())
        self.losses = []
        if not math.isfinite(loss):
            raise DataError(
                f"the loss is {loss} at step {self.step}; try a smaller learning_rate, a longer warmup or "
                "precision=fp32, in a new folder"
            )
        rate = self.pace.steps_per_second(self.step) * self.options.batch_size
        self._log({"loss": loss, "rate": rate})

    def evaluate(self) -> None:
        """Evaluate the averaged weights, save them if they are the best so far, and write a checkpoint."""
        if self.processes.is_first:
            with self.average.in_place():
                self.model.eval()
                with torch.inference_mode():
                    metrics = self.task.evaluate(self.model)
                if not self.best or metrics[self.task.metric] > self.best[self.task.metric]:
                    self.best = metrics
                    save_tensors(self.model.state_dict(), self.folder / BEST)
            self._log(metrics)
            plot_metrics(self.folder, self.name)
        self.save()

    def finish(self) -> None:
        """Save the averaged weights at the end."""
        if self.processes.is_first:
            with self.average.in_place():
                save_tensors(self.model.state_dict(), self.folder / LAST)
            plot_metrics(self.folder, self.name)
        self.processes.wait()

    def _log(self, values: dict[str, float]) -> None:
        if not self.processes.is_first:
            return
        line = {"step": self.step, "epoch": round(self.step / self.epoch_steps, 3)}
        line |= {key: round(value, 5) for key, value in values.items()}
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        said = [f"step {self.step}/{self.total_steps}", *(f"{key} {value:.4g}" for key, value in values.items())]
        if left := self.pace.left(self.step, self.total_steps):
            said.append(f"{left} left")
        self.report("  ".join(said))

    def save(self) -> None:
        """Write a checkpoint."""
        if self.processes.is_first:
            groups = {
                "weights": {name: value.detach() for name, value in self.parameters.items()},
                "average": self.average.values,
                "buffers": dict(self.model.named_buffers()),  # batch norm's statistics
                "optimiser": optimiser_tensors(self.optimiser, self.parameters),
            }
            state = {
                "step": self.step,
                "best": self.best,
                "losses": [float(loss) for loss in self.losses],
                "parameters": list(self.parameters),
                "scaler": self.scaler.state_dict(),
            }
            write_checkpoint(self.folder, groups, state)
        self.saved_at = time.monotonic()

    def resume(self) -> None:
        """Resume from the newest complete checkpoint, if there is one."""
        found = newest_checkpoint(self.folder)
        if found is None:
            if self.processes.is_first:
                (self.folder / METRICS).unlink(missing_ok=True)
        else:
            self._take_up(*found)
        self.processes.wait()  # no process may write a checkpoint while another still looks for one

    def _take_up(self, saved: Path, state: dict[str, Any]) -> None:
        if state["parameters"] != list(self.parameters):
            raise DataError(f"{saved} holds other parameters than this recipe trains; remove the folder to start over")
        device = self.processes.device
        put(self.parameters, read_group(saved, "weights", device))
        for name, value in read_group(saved, "buffers", device).items():
            self.model.get_buffer(name).copy_(value)
        self.average.values = read_group(saved, "average", device)
        restore_optimiser(self.optimiser, self.parameters, read_group(saved, "optimiser", device))
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.best = state["step"], state["best"]
        self.losses = [torch.tensor(loss, device=device) for loss in state["losses"]]
        self.pace = _Pace(self.step)
        if self.processes.is_first:
            self._forget_later_metrics()
            self.report(f"goes on at step {self.step} of {self.total_steps}")

    def _forget_later_metrics(self) -> None:
        """Remove the metrics recorded after the checkpoint: they will be recorded again."""
        kept = [line for line in read_metrics(self.folder) if line["step"] <= self.step]
        replace_file(self.folder / METRICS, "".join(json.dumps(line) + "\n" for line in kept).encode())


def _is_frozen_norm(module: nn.Module) -> bool:
    """Whether the module is a batch norm that is not trained: its running statistics must then not change either."""
    weights = list(module.parameters()) if isinstance(module, _BatchNorm) else []
    return bool(weights) and not any(parameter.requires_grad for parameter in weights)


class _Pace:
    """The speed of training since this start of the run, including evaluations and checkpoints."""

    def __init__(self, first: int) -> None:
        self._first, self._started = first, time.monotonic()

    def steps_per_second(self, step: int) -> float:
        return (step - self._first) / max(1e-9, time.monotonic() - self._started)

    def left(self, step: int, total: int) -> str:
        """The remaining time in words; empty while it is unknown, and at the end."""
        if step == self._first or step >= total:
            return ""
        return duration((total - step) / self.steps_per_second(step))


def _parts(batch: Batch, count: int) -> Iterator[tuple[Batch, float]]:
    """Split the rows of a batch into `count` parts, or fewer if it has fewer rows, each with its share of the rows."""
    size = len(next(iter(batch.values())))
    places = torch.arange(size).tensor_split(min(count, size))
    for place in places:
        rows = slice(int(place[0]), int(place[-1]) + 1)
        yield {key: value[rows] for key, value in batch.items()}, len(place) / size
