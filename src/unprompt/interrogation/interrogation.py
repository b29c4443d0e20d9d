"""The settings of an interrogation, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, get_args

from unprompt.checked import Bounds, check

if TYPE_CHECKING:
    from unprompt.prediction import Term

Mode: TypeAlias = Literal["best", "fast", "classic", "published", "caption", "negative"]
MODES: tuple[Mode, ...] = get_args(Mode)

Positive: TypeAlias = Annotated[int, Bounds(1)]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a text is put together.

    "caption" is the caption alone. "classic" adds the best terms of each list, "fast" the best of all lists together.
    "best" grows a chain term by term and returns the nearest of all these texts. "published" is the prompt of the
    published ensemble: the caption, a medium, a movement and three flavors. "negative" is a chain of the terms least
    like the picture; `negative` adds that chain to any other mode.

    A fast text and a chain take at most `max_terms`. A chain tries at least `min_terms`, chosen from the `candidates`
    terms that are nearest on their own. No text has more than `max_tokens`, counted by the model without its start and
    end tokens (default: as many as the model reads). `gains` measures the texts of every mode, which makes "classic"
    and "fast" several times slower.

    Raises UnknownNameError for an unknown mode, DataError for a number out of range.
    """

    mode: Mode = "best"
    negative: bool = False
    min_terms: Annotated[int, Bounds(0)] = 8
    max_terms: Positive = 32
    candidates: Positive = 2048
    max_tokens: Positive | None = None
    gains: bool = False

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Interrogation:
    """The answer for one picture: a text, with the caption and the terms that it consists of.

    `origin` is the mode that wrote the text; for mode "best" it is "chain" or the mode whose text was nearer.
    `similarity` is the cosine of the text with the picture, None if it was not measured. `negative_prompt` is None
    unless requested.
    """

    text: str
    origin: str
    caption: str
    terms: tuple[Term, ...]
    similarity: float | None
    negative_prompt: str | None = None
