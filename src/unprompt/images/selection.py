"""Which files a folder stands for, and which it passes over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from unprompt.images.formats import ARCHIVE_SUFFIXES, PLUGINS, SUFFIXES, VIDEOS, is_decodable

_SHOWN = {"JXL": "JPEG XL", "WEBM": "WebM"}


@dataclass(frozen=True, slots=True)
class Selection:
    """The suffixes of the files that are wanted, and how many of the other formats were passed over."""

    suffixes: tuple[str, ...]
    passed_over: Counter[str] = field(default_factory=Counter)

    def takes(self, name: str) -> bool:
        """Whether a folder stands for a file of this name: one that is wanted, or a tar."""
        return name.lower().endswith((*self.suffixes, *ARCHIVE_SUFFIXES))

    def pass_over(self, name: str) -> None:
        """Count a file that is not taken, if its suffix is that of a known format."""
        found = SUFFIXES.get(os.path.splitext(name)[1].lower())
        if found is not None:
            self.passed_over[found] += 1

    def line(self) -> str:
        """What was passed over, by format, and what to do; empty if nothing was."""
        parts = (
            _part(self.passed_over, PLUGINS, "pip install 'unprompt[formats]' reads them"),
            _part(self.passed_over, VIDEOS, "of videos, `unprompt metadata` shows the prompt that is written"),
        )
        said = "; ".join(filter(None, parts))
        return said and f"passed over {said}"


def decodable() -> Selection:
    """The pictures that can be decoded here."""
    return Selection(tuple(sorted(suffix for suffix, name in SUFFIXES.items() if is_decodable(name))))


def readable() -> Selection:
    """All pictures and videos whose texts can be read, which needs no decoder."""
    return Selection(tuple(sorted(SUFFIXES)))


def _part(passed_over: Counter[str], formats: Iterable[str], advice: str) -> str:
    counts = [f"{passed_over[name]:,} {_SHOWN.get(name, name)}" for name in formats if passed_over[name]]
    return f"{', '.join(counts)} ({advice})" if counts else ""
