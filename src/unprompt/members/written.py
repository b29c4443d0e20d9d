"""The file's own word as a vote: where a prompt is written, it is the only one that counts."""

from __future__ import annotations

from unprompt.prediction import Vector, Vote, WrittenPrompt

NAME = "metadata"


def written_vote(written: WrittenPrompt, vector: Vector) -> Vote:
    """The vote of a written prompt, whose own unit vector (384,) is given."""
    return Vote(NAME, 1.0, vector=vector, texts=(written.prompt,))
