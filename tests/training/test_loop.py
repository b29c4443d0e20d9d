"""The loop: schedule, averages, checkpoints, and that a killed run ends as an unbroken one does."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recorded_steps import RecordedSteps

from unprompt.errors import DataError
from unprompt.progress import no_report

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from unprompt.durable import open_locked  # noqa: E402
from unprompt.errors import OutputBusyError  # noqa: E402
from unprompt.training.checkpoint import newest_checkpoint, write_checkpoint  # noqa: E402
from unprompt.training.loop import BEST, LAST, Batch, train  # noqa: E402
from unprompt.training.optimiser import learning_rate  # noqa: E402
from unprompt.training.processes import Processes  # noqa: E402
from unprompt.training.recipe import Optimisation, Recipe  # noqa: E402
from unprompt.training.run import train_recipe  # noqa: E402

pytestmark = pytest.mark.torch

KILLED = """
import os, signal, sys
from pathlib import Path
from unprompt.training.run import train_recipe
def report(line):
    if line.startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

train_recipe(Path(sys.argv[1]), sys.argv[4:], Path(sys.argv[2]), report)
"""


class Slope(nn.Module):
    """Four numbers whose gradients are always 1: AdamW then moves each by just its learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Parameter(torch.zeros(1))
        self.middle = nn.Parameter(torch.zeros(1))
        self.high = nn.Parameter(torch.zeros(1))
        self.matrix = nn.Parameter(torch.full((1, 1), 2.0))
        self.register_buffer("constant", torch.tensor([7.0]))


class SlopeTask:
    """Goes down the slope, and remembers which weights it was shown."""

    metric = "height"
    depths = {"low": -1, "middle": 1, "high": 0, "matrix": 0}  # noqa: RUF012

    def __init__(self, best_at: float = -1.0) -> None:
        self.model = Slope()
        self.best_at = best_at
        self.trained: list[dict[str, float]] = []
        self.evaluated: list[dict[str, float]] = []

    def steps(self, batch_size: int) -> int:
        return 10

    def batches(self, epoch: int, batch_size: int, start: int, rows: slice) -> Iterator[Batch]:
        for number in range(start, 10):
            yield {"number": torch.arange(4.0)[rows] + 10 * epoch + number}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        self.trained.append(_numbers(model))
        return sum(parameter.sum() for parameter in model.parameters()) + 0 * batch["number"].sum()

    def depth_of(self, parameter: str) -> int:
        return self.depths[parameter]

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        assert not model.training
        self.evaluated.append(_numbers(model))
        return {"height": -abs(self.evaluated[-1]["high"] - self.best_at), "high": self.evaluated[-1]["high"]}


def _numbers(model: nn.Module) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in model.named_parameters()}


def _train(task: SlopeTask, folder: Path, **options: Any) -> dict[str, float]:
    settings = Optimisation(**{"epochs": 2, "precision": "fp32", "weight_decay": 0.0, "clip": 1e9, **options})
    recipe = Recipe("regressor", "slope", settings)
    return train(task, recipe, settings, folder, no_report, processes=Processes(0, 1, torch.device("cpu")))


def _metrics(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "rate"} for line in lines]  # the rate is a stopwatch's


def test_learning_rates(tmp_path: Path) -> None:
    task = SlopeTask()
    _train(task, tmp_path, learning_rate=1e-2, final_learning_rate=1e-3, warmup=0.2, layer_decay=0.5)
    seen = [*task.trained, _numbers(task.model)]
    moved = [before["high"] - after["high"] for before, after in itertools.pairwise(seen)]
    warm = [1e-2 * (step + 1) / 4 for step in range(4)]
    cosine = [1e-3 + 9e-3 * 0.5 * (1 + math.cos(math.pi * step / 16)) for step in range(16)]
    assert moved == pytest.approx([*warm, *cosine], rel=1e-3)
    lower = [before["middle"] - after["middle"] for before, after in itertools.pairwise(seen)]
    assert lower == pytest.approx([0.5 * rate for rate in moved], rel=1e-3)


def test_without_warm_up_the_decay_is_pytorchs() -> None:
    options = Optimisation(learning_rate=1e-4, final_learning_rate=1e-6, warmup=0.0)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=12, eta_min=1e-6)
    for step in range(12):
        assert learning_rate(options, step, 12) == pytest.approx(schedule.get_last_lr()[0], rel=1e-6)
        optimiser.step()
        schedule.step()


def test_what_is_frozen_stays(tmp_path: Path) -> None:
    task = SlopeTask()
    _train(task, tmp_path, weight_decay=0.5)
    assert {weights["low"] for weights in task.trained} == {0.0}
    assert not task.model.low.requires_grad
    saved = load_file(tmp_path / BEST)
    assert saved["low"].item() == 0
    assert saved["constant"].item() == 7


def test_only_matrices_decay(tmp_path: Path) -> None:
    decayed, plain = SlopeTask(), SlopeTask()
    _train(decayed, tmp_path / "a", weight_decay=0.5, learning_rate=1e-2)
    _train(plain, tmp_path / "b", learning_rate=1e-2)
    assert decayed.model.high.item() == plain.model.high.item()
    assert decayed.model.matrix.item() < plain.model.matrix.item() - 0.05


def test_averages_are_evaluated(tmp_path: Path) -> None:
    task = SlopeTask()
    _train(task, tmp_path, ema=0.6, evaluations=20, learning_rate=1e-2)
    raw = [weights["high"] for weights in [*task.trained, _numbers(task.model)]]
    average, expected = raw[0], [raw[0]]
    for step, value in enumerate(raw[1:], 1):
        decay = min(0.6, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * value
        expected.append(average)
    assert [weights["high"] for weights in task.evaluated] == pytest.approx(expected, abs=1e-6)


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    task = SlopeTask(best_at=-0.03)  # passed in the middle of the run
    best = _train(task, tmp_path, ema=0.3, evaluations=20, learning_rate=1e-2, final_learning_rate=1e-2)
    heights = [-abs(weights["high"] + 0.03) for weights in task.evaluated]
    place = int(np.argmax(heights))
    assert 0 < place < len(heights) - 1
    assert best["height"] == max(heights)
    saved = load_file(tmp_path / BEST)
    assert {name: saved[name].item() for name in task.evaluated[place]} == task.evaluated[place]
    state = json.loads((tmp_path / "checkpoint" / "state.json").read_text())
    assert state["best"] == best


def test_evaluations_are_spread_over_the_run(tmp_path: Path) -> None:
    _train(SlopeTask(), tmp_path, evaluations=3)
    assert [line["step"] for line in _metrics(tmp_path) if "height" in line] == [0, 7, 14, 20]


def test_no_epochs_is_an_evaluation(tmp_path: Path) -> None:
    assert _train(SlopeTask(), tmp_path, epochs=0)["high"] == 0
    assert (tmp_path / BEST).exists()


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    best = _train(SlopeTask(), tmp_path)
    before = _metrics(tmp_path)
    again = SlopeTask()
    assert _train(again, tmp_path) == best
    assert (again.trained, again.evaluated) == ([], [])
    assert _metrics(tmp_path) == before


def test_a_folder_holds_one_run(tmp_path: Path) -> None:
    _train(SlopeTask(), tmp_path)
    with pytest.raises(DataError, match="holds a run of another recipe; choose another folder"):
        _train(SlopeTask(), tmp_path, epochs=3)


def test_a_folder_is_claimed_before_anything_is_computed(decoder_run: Path, decoder_recipe: Path) -> None:
    before = sorted(decoder_run.rglob("*"))
    with pytest.raises(DataError, match="another recipe"):
        train_recipe(decoder_recipe, ["decoder.recombined=3"], decoder_run, no_report)
    assert sorted(decoder_run.rglob("*")) == before


def test_two_commands_do_not_train_in_one_folder(decoder_run: Path, decoder_recipe: Path) -> None:
    with open_locked(decoder_run / ".lock"), pytest.raises(OutputBusyError, match="another unprompt is writing"):
        train_recipe(decoder_recipe, [], decoder_run, no_report)
    assert train_recipe(decoder_recipe, [], decoder_run, no_report)


def test_a_folder_that_cannot_be(decoder_recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(DataError, match="cannot write"):
            train_recipe(decoder_recipe, [], folder, no_report)


def test_other_parameters_than_the_checkpoints(tmp_path: Path) -> None:
    _train(SlopeTask(), tmp_path)
    task = SlopeTask()
    task.depths = {**task.depths, "low": 0}
    with pytest.raises(DataError, match="other parameters than this recipe trains"):
        _train(task, tmp_path)


def test_a_checkpoint_that_was_being_swapped(tmp_path: Path) -> None:
    best = _train(SlopeTask(), tmp_path)
    (tmp_path / "checkpoint").rename(tmp_path / ".checkpoint.old")
    (tmp_path / ".checkpoint.new").mkdir()
    again = SlopeTask()
    assert _train(again, tmp_path) == best
    assert again.trained == []


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "optimiser.safetensors"])
def test_a_damaged_checkpoint_is_no_fault_of_ours(tmp_path: Path, name: str) -> None:
    _train(SlopeTask(), tmp_path)
    path = tmp_path / "checkpoint" / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"the checkpoint in .*checkpoint is damaged .*; delete that folder to train"):
        _train(SlopeTask(), tmp_path)


def test_the_old_checkpoint_stays_until_the_new_one_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, {}, {"step": 1})
    (tmp_path / "checkpoint").rename(tmp_path / ".checkpoint.old")  # killed between the two renames

    def killed(*paths: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)  # and again, before the new one is in its place
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, {}, {"step": 2})
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found[1] == {"step": 1}


@pytest.mark.parametrize(
    "killed_at",
    [
        "step 0/",  # after the first evaluation, before the first checkpoint
        "step 50/",  # in the middle of an epoch, after a line that no checkpoint has seen
        "step 76/",  # after an evaluation
    ],
)
def test_a_killed_run_ends_as_an_unbroken_one(
    decoder_recipe: Path, decoder_run: Path, tmp_path: Path, killed_at: str
) -> None:
    folder = tmp_path / "run"
    # A checkpoint after each step, and the same recipe otherwise.
    recipe = tmp_path / "recipe.toml"
    text = decoder_recipe.read_text().replace("[optimisation]", "[optimisation]\ncheckpoint_minutes = 0.0")
    recipe.write_text(text)
    command = [sys.executable, "-c", KILLED, str(recipe), str(folder), killed_at]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9')  # a line that was being written

    said: list[str] = []
    best = train_recipe(recipe, [], folder, said.append)
    if killed_at != "step 0/":
        assert said[0].startswith("goes on at step ")
    assert _metrics(folder) == _metrics(decoder_run)
    assert best == json.loads((decoder_run / "checkpoint" / "state.json").read_text())["best"]
    for name in (BEST, "checkpoint/weights.safetensors", "checkpoint/average.safetensors"):
        ours, theirs = load_file(folder / name), load_file(decoder_run / name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_reports_say_what_is_left(decoder_run: Path) -> None:
    said = (decoder_run / "said.txt").read_text().split("\n")
    assert said[0].startswith("step 0/114  likelihood -")
    assert any(line.startswith("step 50/114  loss ") and line.endswith(" left") for line in said)
    assert said[-1].startswith("step 114/114  likelihood -")
    assert "left" not in said[-1]


def test_the_plot(decoder_run: Path) -> None:
    with Image.open(decoder_run / "metrics.png") as image:
        assert image.format == "PNG"
        assert image.width > 2 * image.height
        drawn = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(drawn, axis=0)) > 20  # lines and letters, not an empty page


class Line(nn.Module):
    """y = a x + b, learnt from four points a batch."""

    def __init__(self, *, affine: bool) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)
        self.norm = nn.BatchNorm1d(1, affine=affine)


class LineTask:
    metric = "fit"

    def __init__(self, *, normalised: bool = False, frozen: str = "") -> None:
        torch.manual_seed(0)
        self.model, self.normalised, self.frozen = Line(affine=bool(frozen)), normalised, frozen

    def steps(self, batch_size: int) -> int:
        return 6

    def batches(self, epoch: int, batch_size: int, start: int, rows: slice) -> Iterator[Batch]:
        for number in range(start, 6):
            x = torch.randn(batch_size, 1, generator=torch.Generator().manual_seed(epoch * 6 + number))
            yield {"x": x[rows], "y": (3 * x - 1)[rows]}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        seen = model.norm(batch["x"]) if self.normalised else batch["x"]
        return (model.line(seen) - batch["y"]).float().square().mean()

    def depth_of(self, parameter: str) -> int:
        return -1 if self.frozen and parameter.startswith(self.frozen) else 0

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        x = torch.linspace(-1, 1, 5).unsqueeze(1)
        return {"fit": -float(self.loss(model, {"x": x, "y": 3 * x - 1}).detach())}


def _fit(folder: Path, task: LineTask, **options: Any) -> dict[str, float]:
    settings = Optimisation(**{"epochs": 4, "batch_size": 8, "learning_rate": 0.1, "precision": "fp32", **options})
    recipe = Recipe("regressor", "line", settings)
    return train(task, recipe, settings, folder, no_report, processes=Processes(0, 1, torch.device("cpu")))


@pytest.mark.parametrize("parts", [2, 3, 8, 100])
def test_a_batch_in_parts_is_the_same_step(tmp_path: Path, parts: int) -> None:
    whole, divided = LineTask(), LineTask()
    _fit(tmp_path / "whole", whole)
    _fit(tmp_path / "divided", divided, accumulate=parts)
    assert _numbers(divided.model) == pytest.approx(_numbers(whole.model), abs=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns(tmp_path: Path, precision: str) -> None:
    task = LineTask()
    before = task.evaluate(task.model)["fit"]
    assert _fit(tmp_path, task, precision=precision)["fit"] > before / 2  # fp16 skips its first steps, to find a scale
    scale = json.loads((tmp_path / "checkpoint" / "state.json").read_text())["scaler"]
    assert bool(scale) == (precision == "fp16")  # fp16 alone needs its losses scaled


def test_what_batch_norm_has_counted_is_resumed(tmp_path: Path) -> None:
    task = LineTask(normalised=True)
    _fit(tmp_path, task)
    again = LineTask(normalised=True)
    _fit(tmp_path, again)
    assert torch.equal(again.model.norm.running_var, task.model.norm.running_var)
    assert again.model.norm.num_batches_tracked == 24


def test_what_a_frozen_batch_norm_has_counted_stays(tmp_path: Path) -> None:
    task = LineTask(normalised=True, frozen="norm.")
    _fit(tmp_path, task)
    assert task.model.norm.num_batches_tracked == 0
    assert task.model.norm.running_var.item() == 1


def test_a_run_goes_on_with_other_threads_and_times(tmp_path: Path) -> None:
    _fit(tmp_path, LineTask())
    _fit(tmp_path, LineTask(), checkpoint_minutes=1.0)
    with pytest.raises(DataError, match="holds a run of another recipe"):
        _fit(tmp_path, LineTask(), weight_decay=0.5)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the loss is (inf|nan) at step \d+; try a smaller learning_rate"):
        _fit(tmp_path, LineTask(), learning_rate=1e30, clip=0.0, weight_decay=0.0)


def test_the_end_is_kept_beside_the_best(tmp_path: Path) -> None:
    task = SlopeTask(best_at=-0.03)
    _train(task, tmp_path, evaluations=20, learning_rate=1e-2, final_learning_rate=1e-2)
    best, last = (load_file(tmp_path / name)["high"].item() for name in (BEST, LAST))
    assert last == _numbers(task.model)["high"] < best


def test_progress_is_told_in_samples(tmp_path: Path) -> None:
    assert _steps(tmp_path) == [("training", 40, [0, *[4] * 10])]


def test_a_run_that_goes_on_shows_first_what_is_done(tmp_path: Path) -> None:
    _steps(tmp_path)
    assert _steps(tmp_path) == [("training", 40, [40])]


def _steps(folder: Path) -> list[tuple[str, int | None, list[int]]]:
    steps = RecordedSteps()
    settings = Optimisation(epochs=1, batch_size=4, precision="fp32")
    recipe, alone = Recipe("regressor", "slope", settings), Processes(0, 1, torch.device("cpu"))
    train(SlopeTask(), recipe, settings, folder, no_report, processes=alone, step=steps)
    return steps.steps
