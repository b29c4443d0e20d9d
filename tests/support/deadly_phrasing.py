"""Ways of phrasing a text that end the process, as a decoder that a picture crashes would."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Phrase:
    """Phrases the prompt as it is, but does something at pictures whose names hold one of these."""

    names: tuple[str, ...]
    act: Callable[[str], None]

    def __call__(self, record: dict[str, Any]) -> str:
        if any(name in record["source"] for name in self.names):
            self.act(record["source"])
        return str(record["prompt"])


def dying(*names: str) -> Phrase:
    """Kills its process at these pictures."""
    return Phrase(names, _die)


def raising(*names: str) -> Phrase:
    """Raises what no picture should."""
    return Phrase(names, _raise)


def dying_once(folder: Path, *names: str) -> Phrase:
    """Kills its process the first time that it sees each of these pictures, wherever that is."""

    def act(source: str) -> None:
        try:
            (folder / os.path.basename(source)).open("x").close()
        except FileExistsError:
            return
        _die(source)

    return Phrase(names, act)


def _die(_source: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(source: str) -> None:
    raise AssertionError(f"a fault at {os.path.basename(source)}")
