"""The training loop: one for every task, on a GPU when there is one and on the CPU otherwise.

A run lives in a folder: `recipe.json`, `metrics.jsonl`, `metrics.png`, `checkpoint/` (weights, optimiser, moving
average: safetensors and JSON, never pickle) and `best.safetensors`. Started again on the same folder it goes on
where it was, with the same batches.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.training.plot import METRICS, plot_metrics, read_metrics
from unprompt.training.recipe import RUN_RECIPE, Optimisation, Recipe, recipe_of_run
from unprompt.training.weights import save_tensors

BEST = "best.safetensors"
STEPS_A_REPORT = 50

Batch = dict[str, Tensor]
Report = Callable[[str], None]


class Task(Protocol):
    """What a kind of model adds to the loop."""

    metric: str
    """The key of `evaluate` that decides which weights are best (higher is better)."""

    @property
    def model(self) -> nn.Module:
        """The network, with every weight that the best of the run shall hold."""

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""

    def batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """The batches of an epoch, the same whenever the same epoch is asked for."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """A scalar, averaged over the batch."""

    def depth_of(self, parameter: str) -> int:
        """How many blocks lie above a parameter; -1 keeps it frozen."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Metrics on validation data."""


def train(task: Task, recipe: Recipe, options: Optimisation, folder: Path, report: Report) -> dict[str, float]:
    """Runs (or goes on with) one of a recipe's optimisations in `folder`; returns the best evaluation.

    Raises DataError where `folder` holds a run of another recipe.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    claim(folder, recipe)
    run = _Run(task, recipe.name, options, folder, device)
    run.resume(report)
    if not run.best:
        run.evaluate(report)
    while run.step < run.total_steps:
        run.epoch(report)
    plot_metrics(folder, recipe.name)
    return run.best


def claim(folder: Path, recipe: Recipe) -> None:
    """Makes `folder` that of a run of this recipe. Raises DataError where it holds a run of another one."""
    path = folder / RUN_RECIPE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(dataclasses.asdict(recipe), indent=2, sort_keys=True), encoding="utf-8")
        os.replace(temporary, path)
    elif recipe_of_run(folder) != recipe:
        raise DataError(f"{folder} holds a run of another recipe; choose another folder with --output or remove it")


def saved_state(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint of a run and what its `state.json` holds; None before the first."""
    for name in ("checkpoint", "checkpoint.old"):
        path = folder / name / "state.json"
        if path.exists():
            return path.parent, json.loads(path.read_text(encoding="utf-8"))
    return None


class _Run:
    """The state of a run: what a checkpoint holds."""

    def __init__(self, task: Task, name: str, options: Optimisation, folder: Path, device: torch.device) -> None:
        self.task, self.name, self.options, self.folder, self.device = task, name, options, folder, device
        self.model = task.model.to(device)
        self.parameters = _trainable(task)
        self.average = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.optimiser = _optimiser(task, self.parameters, options)
        self.epoch_steps = task.steps(options.batch_size)
        self.total_steps = self.epoch_steps * options.epochs
        self.evaluate_every = math.ceil(self.total_steps / (options.evaluations or max(1, options.epochs)))
        self.step = 0
        self.best: dict[str, float] = {}
        self.losses: list[float] = []  # since the last report
        self.pace = _Pace(self.step)
        self.saved_at = time.monotonic()

    def epoch(self, report: Report) -> None:
        """The rest of the epoch that `step` lies in."""
        number, done = divmod(self.step, self.epoch_steps)
        for index, batch in enumerate(self.task.batches(number, self.options.batch_size)):
            if index < done:
                continue
            self.losses.append(self._update({key: value.to(self.device) for key, value in batch.items()}))
            if self.step % STEPS_A_REPORT == 0 or self.step == self.total_steps:
                rate = self.pace.steps_per_second(self.step) * self.options.batch_size
                self._log({"loss": float(np.mean(self.losses)), "rate": rate}, report)
                self.losses = []
            if self.step % self.evaluate_every == 0 or self.step == self.total_steps:
                self.evaluate(report)
            elif time.monotonic() - self.saved_at > self.options.checkpoint_minutes * 60:
                self.save()

    def _update(self, batch: Batch) -> float:
        # Dropout and stochastic depth draw from the step's own seed, so a resumed run draws what an unbroken one does.
        torch.manual_seed(self.options.seed * 1_000_003 + self.step)
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = group["scale"] * _rate(self.options, self.step, self.total_steps)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            loss = self.task.loss(self.model, batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(list(self.parameters.values()), self.options.clip)
        self.optimiser.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    def _average(self) -> None:
        # A short memory at first, so that the average does not carry the first weights for long.
        decay = min(self.options.ema, (1 + self.step) / (10 + self.step)) if self.options.ema else 0.0
        for name, value in self.parameters.items():
            self.average[name].lerp_(value.detach(), 1 - decay)

    def evaluate(self, report: Report) -> None:
        """Scores the averaged weights, keeps them where they are the best so far, and notes that in a checkpoint."""
        kept = {name: value.detach().clone() for name, value in self.parameters.items()}
        self._put(self.average)
        self.model.eval()
        with torch.inference_mode():
            metrics = self.task.evaluate(self.model)
        if not self.best or metrics[self.task.metric] > self.best[self.task.metric]:
            self.best = metrics
            save_tensors(self.model.state_dict(), self.folder / BEST)
        self._put(kept)
        self._log(metrics, report)
        plot_metrics(self.folder, self.name)
        self.save()

    def _put(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(values[name])

    def _log(self, values: dict[str, float], report: Report) -> None:
        line = {"step": self.step, "epoch": round(self.step / self.epoch_steps, 3)}
        line |= {key: round(value, 5) for key, value in values.items()}
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        said = [f"step {self.step}/{self.total_steps}", *(f"{key} {value:.4g}" for key, value in values.items())]
        if left := self.pace.left(self.step, self.total_steps):
            said.append(f"{left} left")
        report("  ".join(said))

    def save(self) -> None:
        """Writes a checkpoint beside the old one and swaps them, so that a kill leaves one of the two whole."""
        new = self.folder / "checkpoint.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        save_tensors({name: value.detach() for name, value in self.parameters.items()}, new / "weights.safetensors")
        save_tensors(self.average, new / "average.safetensors")
        names = list(self.parameters)
        moments = {}
        for name, parameter in self.parameters.items():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                moments[f"{names.index(name)}.{key}"] = torch.as_tensor(value)
        save_tensors(moments, new / "optimiser.safetensors")
        state = {"step": self.step, "best": self.best, "losses": self.losses, "parameters": names}
        (new / "state.json").write_text(json.dumps(state), encoding="utf-8")
        old, current = self.folder / "checkpoint.old", self.folder / "checkpoint"
        shutil.rmtree(old, ignore_errors=True)
        if current.exists():
            os.replace(current, old)
        os.replace(new, current)
        shutil.rmtree(old, ignore_errors=True)
        self.saved_at = time.monotonic()

    def resume(self, report: Report) -> None:
        """Takes up the newest whole checkpoint, if there is one."""
        found = saved_state(self.folder)
        if found is None:
            (self.folder / METRICS).unlink(missing_ok=True)
            return
        saved, state = found
        if state["parameters"] != list(self.parameters):
            raise DataError(f"{saved} holds other parameters than this recipe trains; remove the folder to start anew")
        self._put(load_file(saved / "weights.safetensors"))
        self.average = load_file(saved / "average.safetensors", device=str(self.device))
        moments = load_file(saved / "optimiser.safetensors", device=str(self.device))
        for key, value in moments.items():
            index, _, entry = key.partition(".")
            parameter = self.parameters[state["parameters"][int(index)]]
            self.optimiser.state[parameter][entry] = value.cpu() if entry == "step" else value
        self.step, self.best, self.losses = state["step"], state["best"], state.get("losses", [])
        self.pace = _Pace(self.step)
        self._forget_later_metrics()
        report(f"goes on at step {self.step} of {self.total_steps}")

    def _forget_later_metrics(self) -> None:
        """Takes away what was noted after the checkpoint: it will be noted again."""
        kept = [line for line in read_metrics(self.folder) if line["step"] <= self.step]
        temporary = self.folder / f"{METRICS}.part"
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        os.replace(temporary, self.folder / METRICS)


class _Pace:
    """How fast steps go since this start of the run, evaluations and checkpoints included."""

    def __init__(self, first: int) -> None:
        self._first, self._started = first, time.monotonic()

    def steps_per_second(self, step: int) -> float:
        return (step - self._first) / max(1e-9, time.monotonic() - self._started)

    def left(self, step: int, total: int) -> str:
        """The time that the remaining steps will take, in words; empty while nothing is known, and at the end."""
        if step == self._first or step >= total:
            return ""
        return _duration((total - step) / self.steps_per_second(step))


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{max(1, round(seconds))} s"


def _trainable(task: Task) -> dict[str, nn.Parameter]:
    found = {}
    for name, parameter in task.model.named_parameters():
        parameter.requires_grad_(task.depth_of(name) >= 0)
        if parameter.requires_grad:
            found[name] = parameter
    return found


def _optimiser(task: Task, parameters: dict[str, nn.Parameter], options: Optimisation) -> torch.optim.AdamW:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        scale = options.layer_decay ** task.depth_of(name)
        decay = options.weight_decay if parameter.ndim > 1 else 0.0  # biases and norms are not shrunk
        groups.setdefault((scale, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": values, "scale": scale, "weight_decay": decay} for (scale, decay), values in groups.items()],
        lr=options.learning_rate,
    )


def _rate(options: Optimisation, step: int, total: int) -> float:
    """Linear warm-up, then cosine decay."""
    warmup = max(1, round(options.warmup * total))
    if step < warmup:
        return options.learning_rate * (step + 1) / warmup
    cosine = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    return options.final_learning_rate + (options.learning_rate - options.final_learning_rate) * cosine
