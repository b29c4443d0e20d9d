"""Scores as runs give them, made up."""

from __future__ import annotations

from typing import Any

from unprompt.evaluation.scoring import Score


def score(name: str, vector: float = 0.5, text: float | None = None, prompt: str = "", **fields: Any) -> Score:
    """The score of one picture; its prompt is its own unless one is given."""
    return Score(name, prompt or f"a picture of {name}", vector, text, {"regressor": vector}, fields)
