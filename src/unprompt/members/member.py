"""What every member of the ensemble can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from unprompt.images.decode import Picture
from unprompt.models.folder import ModelFolder
from unprompt.prediction import Vote


class Member(Protocol):
    """One opinion about pictures. Made quickly; weights are loaded at the first vote."""

    name: str
    """By which its votes are known."""

    folder: ModelFolder
    """The model that it asks."""

    @property
    def shorter_side(self) -> int | None:
        """How many pixels it needs to see; None: every one that the file has."""

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One vote a picture, in their order; what else is in the batch changes nothing."""
