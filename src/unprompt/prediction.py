"""The result types: a `Prediction` or a `Failure` for each picture, with all that they consist of."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:  # what a file says is read without numpy, whose import takes longer than that
    import numpy as np
    import numpy.typing as npt

Vector: TypeAlias = Annotated["npt.NDArray[np.float32]", "(384,), or one row for each text (texts, 384)"]

EMBEDDING_SIZE = 384
"""The size of a vector of all-MiniLM-L6-v2, the metric space in which prompts are compared."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that was offered as the prompt.

    `similarity` is the cosine between the sentence's own vector and the fused one. `origin` names its source:
    "decoder", "concepts", "pixels", "given" or a member's name (`from` in JSON).
    """

    text: str
    similarity: float
    origin: str


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a vocabulary in a text, with the list that it is from.

    `similarity` is the cosine of the term alone with the picture, in the space of the model that chose it. `gain` is
    the increase of the text's cosine with the picture by adding the term; None if it was not measured.
    """

    text: str
    category: str
    similarity: float
    gain: float | None = None


CONCEPTS_LIMIT = 32
"""The most concepts that an answer and its votes keep: a member may know thousands, and answers are kept in memory."""


@dataclass(frozen=True, slots=True)
class Concept:
    """A thing, style or medium that a member sees in the picture, and the probability that its prompt names it.

    `category` is what it is about, where the member knows: a tagger's "general", "character", "copyright", "rating".
    """

    name: str
    probability: float
    category: str = ""


@dataclass(frozen=True, slots=True)
class Confidence:
    """The estimated cosine between the answer's vector and the true prompt's; 80 % of them are from `low` to `high`."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Vote:
    """One member's opinion of one picture: a unit vector (384,), texts, or both; neither if it has no opinion.

    `texts` are the sentences that the member offers as candidates, best first. `terms` are the vocabulary terms in the
    first of them, in order, and `text_similarity` is its cosine with the picture in the member's own space, if that was
    measured. `negative_prompt` describes what the picture is least like, if that was asked for. `concepts` are what the
    member sees in the picture, most probable first. `weight` is the member's share in the preset, 0 to 1. `note` says
    why it has no opinion, where that is worth saying.
    """

    member: str
    weight: float
    vector: Vector | None = None
    texts: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    text_similarity: float | None = None
    negative_prompt: str | None = None
    concepts: tuple[Concept, ...] = ()
    note: str = ""

    def __repr__(self) -> str:
        told = f", {_shown(self.texts[0])}" if self.texts else ""
        return f"<Vote of {self.member}, weight {self.weight:.2g}{told}>"


Style = Literal["prompt", "sentence", "tags"]
"""How an answer is worded: subject, medium, style and light as prompts have it; plain English; or tags with commas."""

STYLES: tuple[Style, ...] = get_args(Style)

Origin = Literal["metadata", "prediction"]
"""Where an answer is from: the file itself, or the members' votes."""

Role = Literal["positive", "negative", "style", "region", "refiner", "instruction"]
"""What a written text was for. An instruction is addressed to a language model, not to the generator."""

Certainty = Literal["written", "computed", "ambiguous"]
"""How a prompt follows from its file: stated by the tool, computed from a graph, or one of several that it could be."""


@dataclass(frozen=True, slots=True)
class WrittenText:
    """One of the texts in a file's metadata.

    `node` names what it comes from: a graph's node ("6 CLIPTextEncode"), or the key of the file ("parameters").
    `weight` is the strength that the tool gives to the whole text.
    """

    text: str
    role: Role
    node: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Resource:
    """A model file that the generator used.

    `kind` is "checkpoint", "lora", "embedding", "vae", "text encoder", "controlnet", "hypernetwork", "upscaler" or
    "model". `hash` is the tool's own, of whichever kind that is.
    """

    kind: str
    name: str
    weight: float | None = None
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenPrompt:
    """The prompt that a generator wrote into the file.

    `prompt` is cleaned of weights and LoRA tags, `raw` is the text as the tool wrote it, and `weighted` says whether
    such marks were removed. `prompt` is empty if only the tool, or its settings, are written. `settings` maps the
    tool's own names (steps, sampler, seed, ...) to strings, numbers or booleans. `texts` are all texts of the file,
    among them `prompt` and `negative_prompt`. `candidates` are the prompts that an ambiguous file could mean, `prompt`
    first. `note` is a sentence about the prompt that a user should know, such as that a language model rewrote it.
    """

    tool: str
    prompt: str
    negative_prompt: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    raw: str = ""
    weighted: bool = False
    certainty: Certainty = "written"
    texts: tuple[WrittenText, ...] = ()
    resources: tuple[Resource, ...] = ()
    candidates: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction:
    """The answer for one picture.

    `vector` (384,) float32 is of unit length. If `origin` is "metadata", it is the written prompt's own vector, or
    empty, (0,), if none was asked for; if it is "prediction", the fused vector of the votes, drawn towards the preset's
    codebook if there is one. `candidates` include the prompt itself, best first; if the file is ambiguous, they are the
    prompts that it could mean. `model` says what computed the answer: preset, version, hashes.

    `confidence` estimates how near `vector` is to the true prompt's; None if the preset has no calibration, or if the
    prompt is written. `concepts` are what the members see, most probable first, at most `CONCEPTS_LIMIT`.

    `self_similarity` says how well the words express the vector, not how right they are: it is the cosine between the
    prompt's own vector, as the quick encoder sees it, and the fused vector before it is drawn; if the only member's
    text is the answer, it is that vote's `text_similarity`, if measured. If no text was asked for, `prompt` is empty
    and `self_similarity` None.

    `is_cut` says that the prompt is longer than the encoder of sentences reads: the prompt's own vector, which a
    written prompt's `vector` is, is that of its beginning.
    """

    source: str
    prompt: str
    origin: Origin
    vector: Vector
    self_similarity: float | None
    candidates: tuple[Candidate, ...]
    votes: tuple[Vote, ...]
    written: WrittenPrompt | None
    model: Mapping[str, Any]
    confidence: Confidence | None = None
    concepts: tuple[Concept, ...] = ()
    is_cut: bool = False

    def __repr__(self) -> str:
        told = f": {_shown(self.prompt)}" if self.prompt else ""
        sure = "" if self.confidence is None else f", confidence {self.confidence.estimate:.2f}"
        return f"<Prediction of {self.source}{told}, {self.origin}{sure}>"

    @property
    def similarity(self) -> float | None:
        """The old name of `self_similarity`, which read like a confidence. Deprecated."""
        warnings.warn(
            "Prediction.similarity is now called self_similarity; how right an answer is, confidence says",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.self_similarity


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture without an answer, and the reason. A value, not an exception: one bad picture never stops a batch.

    `kind` is one of the fixed words of `unprompt.errors.PictureError`, `message` a sentence for people.
    """

    source: str
    kind: str
    message: str


_SHOWN = 60
"""Characters of a prompt that stand in a `repr`."""


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")
