"""What every member of the ensemble can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from unprompt.images.decode import Picture
from unprompt.prediction import Vote
from unprompt.progress import Step


class Member(Protocol):
    """One opinion about pictures. Made quickly; weights are loaded at the first vote."""

    name: str
    """By which its votes are known."""

    def identities(self) -> Mapping[str, str]:
        """What it asks, models and lists, by name, each with a hash that changes with its content."""

    @property
    def shorter_side(self) -> int | None:
        """How many pixels it needs to see; None: every one that the file has."""

    def prepare(self, step: Step) -> None:
        """Makes what takes minutes the first time and is kept then; `step` shows how far it is."""

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One vote a picture, in their order; what else is in the batch changes nothing."""

    def unload(self) -> None:
        """Makes what room it can on the device, for the members after it; the next vote takes it again."""
