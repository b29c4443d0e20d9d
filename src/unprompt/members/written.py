"""The vote of a prompt in the picture's metadata, which replaces the votes of all members."""

from __future__ import annotations

from unprompt.prediction import Vector, Vote, WrittenPrompt

NAME = "metadata"


def written_vote(written: WrittenPrompt, vector: Vector | None) -> Vote:
    """Make the vote of a written prompt from its own unit vector (384,), if it has one."""
    return Vote(NAME, 1.0, vector=vector, texts=(written.prompt,))
