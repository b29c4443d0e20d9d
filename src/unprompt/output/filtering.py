"""Decides by its text whether an answer is written: what it must contain, and what it must not."""

from __future__ import annotations

import re
from collections.abc import Sequence

from unprompt.errors import DataError


class TextFilter:
    """Keeps the texts that contain all of `must_contain` and none of `drop_if`, as whole words in whatever case.

    Raises DataError for an empty word.
    """

    def __init__(self, must_contain: Sequence[str] = (), drop_if: Sequence[str] = ()) -> None:
        self._wanted = [_pattern(words, "--must-contain") for words in must_contain]
        self._unwanted = [_pattern(words, "--drop-if") for words in drop_if]

    def keeps(self, text: str) -> bool:
        """Whether an answer with this text is written."""
        wanted = all(pattern.search(text) for pattern in self._wanted)
        return wanted and not any(pattern.search(text) for pattern in self._unwanted)


def _pattern(words: str, option: str) -> re.Pattern[str]:
    parts = words.split()
    if not parts:
        raise DataError(f"expected words after {option}, found none; name what texts contain")
    spaced = r"\s+".join(map(re.escape, parts))
    return re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)
