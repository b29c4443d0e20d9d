"""What unprompt answers: one result type for the library, the command line, the service and the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

EMBEDDING_SIZE = 384
"""Numbers in a vector of all-MiniLM-L6-v2, the space in which prompts are compared."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that was offered as the prompt.

    `similarity` is the cosine between the sentence's own vector and the members' fused one; `origin` is who offered it
    ("decoder" or a member's name; `from` in JSON).
    """

    text: str
    similarity: float
    origin: str


@dataclass(frozen=True, slots=True)
class Term:
    """A vocabulary's term that stands in a text, and from which of its lists it is.

    `similarity` is the cosine of the term alone with the picture, in the space of the model that chose it; `gain` is
    how much nearer to the picture the text came by it, None where that was not measured.
    """

    text: str
    category: str
    similarity: float
    gain: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Vote:
    """One member's opinion of one picture: a unit vector (384,), a text, or both; or neither, where it has none.

    `texts` are sentences that the member offers as candidates, best first; `terms` are those of a vocabulary in the
    first one, in its order, and `text_similarity` is the cosine of that text with the picture in the member's own
    space, where it was measured. `negative_prompt` says what the picture is least like, where that was asked for.
    `weight` is the share that the preset gives the member, 0 to 1.
    """

    member: str
    weight: float
    vector: Vector | None = None
    texts: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    text_similarity: float | None = None
    negative_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenPrompt:
    """The prompt that a generator wrote into the file.

    `prompt` is ready to read (weights and LoRA tags cleaned away), `raw` is the untouched text that the tool wrote, and
    `weighted` says whether the two differ by such marks. `settings` maps the tool's own names (steps, sampler, seed,
    ...) to strings, numbers or booleans.
    """

    tool: str
    prompt: str
    negative_prompt: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    raw: str = ""
    weighted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer for one picture.

    `vector` (384,) float32 is unit length: the written prompt's own where `origin` is "metadata"; where it is
    "prediction", the members' fused one, drawn towards the preset's codebook if it has one. `similarity` is the cosine
    between the prompt's own vector and the fused one, which no codebook has drawn; where a lone member's text is the
    answer, it is the vote's `text_similarity`, if that was measured.
    `prompt` is empty and `similarity` is None where no text was asked for. `candidates` are the runners-up and the
    winner, best first. `model` says what computed it: preset, version, hashes.
    """

    source: str
    prompt: str
    origin: Literal["metadata", "prediction"]
    vector: Vector
    similarity: float | None
    candidates: tuple[Candidate, ...]
    votes: tuple[Vote, ...]
    written: WrittenPrompt | None
    model: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that got no answer, and why. A value, not an exception: one bad picture never stops a batch.

    `kind` is a short fixed word (see `unprompt.errors.PictureError`), `message` a sentence for people.
    """

    source: str
    kind: str
    message: str
