"""How captioners are asked, and the bounds of each setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from unprompt.errors import DataError, UnknownNameError

_BOUNDS = {
    "beams": (1, 64),
    "min_length": (0, 512),
    "max_length": (2, 512),
    "no_repeat_ngram_size": (0, 512),
    "batch_size": (1, 1024),
}


_PENALTIES = (0.0, 10.0)


_LONGEST_TEXT = 1000  # characters


@dataclass(frozen=True, slots=True)
class CaptionSettings:
    """How a captioner is asked, and how it searches. Raises DataError for values that make no sense.

    Lengths are in tokens, as the published systems count them: the one that begins a text is included, and so is the
    question where the text goes on from it. `no_repeat_ngram_size`: so many tokens in a row never come twice (0: they
    may). A hypothesis is worth the sum of its tokens' scores / length ** length_penalty. The caption goes on from
    `question`, or answers it, and does not contain it; `suffix` is appended. Of the pictures of one call up to
    `batch_size` go through a GPU together, and half as many where there is no room; a call of `Unprompter.predict` has
    8, unless its own `batch_size` says more.
    """

    beams: int
    min_length: int
    max_length: int
    no_repeat_ngram_size: int = 0
    length_penalty: float = 1.0
    question: str = ""
    suffix: str = ""
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise DataError(f"expected {name} to be a whole number from {least} to {most}, found {value!r}")
        if self.min_length >= self.max_length:
            raise DataError(
                f"expected min_length to be less than max_length, found {self.min_length} and {self.max_length}"
            )
        penalty = self.length_penalty
        if isinstance(penalty, bool) or not isinstance(penalty, (int, float)) or not _in_bounds(penalty):
            raise DataError(f"expected length_penalty to be a number from 0 to 10, found {penalty!r}")
        for name in ("question", "suffix"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
                shown = f"{len(text):,} characters" if isinstance(text, str) else repr(text)
                raise DataError(f"expected {name} to be a text of up to {_LONGEST_TEXT:,} characters, found {shown}")

    def changed(self, changes: Mapping[str, Any]) -> CaptionSettings:
        """These with some values replaced. Raises UnknownNameError for a setting that there is not."""
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError("caption setting", name, known)
        return replace(self, **changes)


def _in_bounds(penalty: float) -> bool:
    return math.isfinite(penalty) and _PENALTIES[0] <= penalty <= _PENALTIES[1]
