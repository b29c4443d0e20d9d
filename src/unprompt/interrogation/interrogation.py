"""What is asked of an interrogation, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, get_args

from unprompt.checked import Bounds, check
from unprompt.prediction import Term

Mode: TypeAlias = Literal["best", "fast", "classic", "published", "caption", "negative"]
MODES: tuple[Mode, ...] = get_args(Mode)

Positive: TypeAlias = Annotated[int, Bounds(1)]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a text is put together.

    "caption" is the caption alone; "classic" adds the best terms of each list, "fast" the best of all lists together;
    "best" grows a chain, a term at a time, and takes the nearest of all these; "published" is what the published
    ensemble asks for: the caption, a medium, a movement and three flavors; "negative" is a chain of what the picture is
    least like. `negative` adds that to any other mode.

    A fast text and a chain take at most `max_terms`; a chain tries at least `min_terms`, out of the `candidates` that
    are nearest alone. No text has more than `max_tokens`, counted as the model does, start and end apart; None: what it
    reads. `gains` measures every text of every mode, which costs a classic or fast one several times its own price.

    Raises UnknownNameError (mode), DataError (a number out of range).
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
    """The answer for one picture: the `text`, and the `caption` and the `terms` that it is made of.

    `origin` is the mode whose text it is; "best" takes that of another one where that lies nearest, and "chain" is its
    own. `similarity` is the cosine of the text with the picture, None where it was not measured. `negative_prompt` is
    what the picture is least like, where that was asked for.
    """

    text: str
    origin: str
    caption: str
    terms: tuple[Term, ...]
    similarity: float | None
    negative_prompt: str | None = None
