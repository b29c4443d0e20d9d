"""Who hears how far a run is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Report: TypeAlias = Callable[[str], None]
"""Hears a line for people."""

Advance: TypeAlias = Callable[[str, int, int], None]
"""Hears what is being done, how many samples of it are done, and how many there are."""


def ignore(*_said: object) -> None:
    """Nobody listens."""
