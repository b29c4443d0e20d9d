"""The plot of a run: its losses and its evaluations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unprompt.durable import replacing_file

METRICS = "metrics.jsonl"
PLOT = "metrics.png"
NOT_CURVES = ("step", "epoch", "rate")

Line = Mapping[str, Any]


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`, in order; a line cut off by a kill is ignored."""
    path = folder / METRICS
    found = []
    for line in path.read_text(encoding="utf-8").split("\n") if path.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def plot_metrics(folder: Path, title: str) -> None:
    """Draw `metrics.png` from the `metrics.jsonl` of a run."""
    lines = read_metrics(folder)
    losses = [line for line in lines if "loss" in line]
    evaluations = [line for line in lines if "loss" not in line]
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    _draw(left, "training loss", losses, ["loss"])
    _draw(right, "evaluation of the averaged weights", evaluations, _curves(evaluations))
    with replacing_file(folder / PLOT) as file:
        figure.savefig(file, format="png")


def _curves(lines: Iterable[Line]) -> list[str]:
    return list(dict.fromkeys(key for line in lines for key in line if key not in NOT_CURVES))


def _draw(axes: Axes, title: str, lines: Sequence[Line], keys: Sequence[str]) -> None:
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("epoch")
    axes.set_ylabel(keys[0] if len(keys) == 1 else "mean cosine" if "balanced" in keys else "metric")
    axes.grid(alpha=0.3)
    for key in keys:
        points = [(line["epoch"], line[key]) for line in lines if key in line]
        axes.plot(
            [epoch for epoch, _ in points],
            [value for _, value in points],
            marker="." if len(points) < 50 else "",
            label=f"{key}: {points[-1][1]:.4g}" if points else key,
        )
    if keys and lines:
        axes.legend(fontsize="small")
