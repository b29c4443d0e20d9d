"""The settings of captioners, and their bounds."""

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
Bits: TypeAlias = Annotated[int, Bounds(0, 8)]

WIDTHS = (0, 4, 8)
"""The values of `bits`."""


@dataclass(frozen=True, slots=True)
class CaptionSettings:
    """The input and the search of a captioner. Raises DataError for values out of bounds.

    Lengths are in tokens, counted as in the published systems: they include the start token, and the question if the
    text continues it; in a chat they count the answer alone. No sequence of `no_repeat_ngram_size` tokens occurs twice
    (0: no such rule). The score of a hypothesis is the sum of its tokens' scores / length ** length_penalty. The
    caption continues or answers `question`, but does not contain it; in a chat, `system` is read before it; `suffix` is
    appended. With `bits` 4 or 8 each weight takes so many bits, by the package bitsandbytes; 0: 16 on a GPU, 32
    elsewhere. At most `batch_size` pictures of a call go through a GPU at once, and half as many each time that memory
    runs out; a call of `Unprompter.predict` has 8 unless its own `batch_size` says more.
    """

    beams: Beams
    min_length: LeastTokens
    max_length: MostTokens
    no_repeat_ngram_size: LeastTokens = 0
    length_penalty: Penalty = 1.0
    question: ShortText = ""
    suffix: ShortText = ""
    batch_size: CaptionBatch = 16
    system: ShortText = ""
    bits: Bits = 0

    def __post_init__(self) -> None:
        check(self)
        if self.min_length >= self.max_length:
            raise DataError(
                f"expected min_length to be less than max_length, found {self.min_length} and {self.max_length}"
            )
        if self.bits not in WIDTHS:
            raise DataError(f"expected bits to be 4 or 8, or 0 for weights as they are; found {self.bits}")

    def changed(self, changes: Mapping[str, Any]) -> CaptionSettings:
        """A copy with some values replaced. Raises UnknownNameError for an unknown setting."""
        return read(CaptionSettings, {**asdict(self), **changes}, "the caption settings")
