"""Fitted weights as a preset file that states their source and their score."""

from __future__ import annotations

import sys

from unprompt.display import printable
from unprompt.evaluation.metrics import Difference, Mean
from unprompt.evaluation.weights import Fit
from unprompt.presets import Preset, to_toml
from unprompt.version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def preset_text(preset: Preset, fit: Fit, *, source: str, date: str) -> str:
    """The preset with the fitted weights as TOML; comments at its head state their source and their score.

    Members with weight 0 are dropped: they would cost time and change nothing.
    """
    table = tomllib.loads(preset.text)
    members = list(zip(preset.members, table["members"], strict=True))
    table["members"] = [
        entry | {"weight": fit.weights[member.name]} for member, entry in members if fit.weights[member.name] > 0
    ]
    head = [
        f"Weights fitted by `unprompt evaluate --fit-weights`, unprompt {__version__}, {date}.",
        f"Start: preset {preset.name}, {preset.identity}.",
        f"Data: {source}, {fit.n:,} pictures in {fit.groups:,} groups of similar prompts (by {fit.grouped_by}).",
        f"Score: mean cosine {_interval(fit.fitted)} on held-out pictures: {fit.folds} folds of whole groups, each",
        "scored by weights that were fitted on the others.",
        f"With the weights of the start, on the same pictures: {_interval(fit.start)};",
        f"difference {_interval(fit.gain)}.",
        *(["All scores are of the fused vector, before the codebook draws it."] if preset.codebook is not None else []),
        "Intervals of 95 %: percentile bootstrap over the groups. Weights over the folds:",
        *(f"  {name}: {low:.4f} to {high:.4f}" for name, (low, high) in fit.spread.items()),
        *(f"Left out, of no weight: {member.name}." for member, _ in members if fit.weights[member.name] <= 0),
    ]
    return "".join(f"# {printable(line)}\n" for line in head) + "\n" + to_toml(table)


def _interval(mean: Mean | Difference) -> str:
    sign = "+" if isinstance(mean, Difference) else ""
    return f"{mean.mean:{sign}.4f} ({mean.low:{sign}.4f} to {mean.high:{sign}.4f})"
