"""The card of a trained model: what it is, what it was trained on, what it scores, and how it was selected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unprompt.durable import replace_file
from unprompt.training.recipe import Recipe
from unprompt.version import __version__

DATA = "data.json"
"""The file in which a run records its data for the card."""


def write_data_note(run: Path, note: Mapping[str, Any]) -> None:
    """Store what the card will say about the data."""
    replace_file(run / DATA, (json.dumps(note, indent=2) + "\n").encode())


def model_card(recipe: Recipe, run: Path, which: str, score: Mapping[str, float]) -> str:
    """The README.md of a model folder that a run writes; `which` is "best" or "last"."""
    path = run / DATA
    note = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    chosen = (
        "The weights are those of the run's best evaluation, chosen on the validation set below: expect a little less "
        "elsewhere."
        if which == "best"
        else "The weights are those of the run's end."
    )
    facts = {
        "network": f"`{recipe.network.name}`, start weights: {recipe.network.weights}",
        "head": f"{recipe.head.kind}, on {recipe.network.features} features",
        "task": recipe.task,
        "made by": f"unprompt {__version__}, recipe in `{run.name}/recipe.json`",
        **{key: str(value) for key, value in note.get("data", {}).items()},
        "licence": "yours to choose: that of the data and of the start weights counts",
    }
    scores = [f"| {key} | {value:.4f} | {_number(note.get('floor', {}).get(key))} |" for key, value in score.items()]
    return "\n".join(
        [
            f"# {recipe.name}",
            "",
            "A picture to the all-MiniLM-L6-v2 vector of its prompt.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {key} | {value} |" for key, value in facts.items()),
            "",
            "## Score",
            "",
            f"Mean cosine with the true prompts' vectors on the validation set. {chosen}",
            "",
            "| | this model | always the mean vector |",
            "|---|---|---|",
            *scores,
            "",
        ]
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
