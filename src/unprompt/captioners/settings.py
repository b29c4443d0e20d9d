"""How captioners are asked, and the bounds of each setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeAlias

from unprompt.checked import Bounds, Length, check, read
from unprompt.errors import DataError

Beams: TypeAlias = Annotated[int, Bounds(1, 64)]
LeastTokens: TypeAlias = Annotated[int, Bounds(0, 512)]
MostTokens: TypeAlias = Annotated[int, Bounds(2, 512)]
Penalty: TypeAlias = Annotated[float, Bounds(0, 10)]
ShortText: TypeAlias = Annotated[str, Length(1000)]
CaptionBatch: TypeAlias = Annotated[int, Bounds(1, 1024)]


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

    beams: Beams
    min_length: LeastTokens
    max_length: MostTokens
    no_repeat_ngram_size: LeastTokens = 0
    length_penalty: Penalty = 1.0
    question: ShortText = ""
    suffix: ShortText = ""
    batch_size: CaptionBatch = 16

    def __post_init__(self) -> None:
        check(self)
        if self.min_length >= self.max_length:
            raise DataError(
                f"expected min_length to be less than max_length, found {self.min_length} and {self.max_length}"
            )

    def changed(self, changes: Mapping[str, Any]) -> CaptionSettings:
        """These with some values replaced. Raises UnknownNameError for a setting that there is not."""
        return read(CaptionSettings, {**asdict(self), **changes}, "the caption settings")
