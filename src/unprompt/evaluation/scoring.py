"""Labelled pictures, answered and held against their true prompts, one at a time."""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from unprompt.datasets.pairs import Fault, Pair, read_pairs
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.evaluation.metrics import cosine
from unprompt.output.records import rounded
from unprompt.prediction import Failure, Prediction, Vector
from unprompt.unprompter import Unprompter

NO_GROUP = "(none)"
"""The group of pictures that lack the field."""

_LONGEST_VALUE = 200
"""Characters of a field by which pictures are grouped; longer ones are descriptions."""

_PROMPTS_KEPT = 1024
"""Vectors of true prompts: pictures of one prompt often come together."""


@dataclass(frozen=True, slots=True)
class Score:
    """One picture's cosines with its true prompt: of the answer's vector, of the sentence, of each member's vector.

    They are rounded as records are, so that a results file gives the same numbers as the run that wrote it. `name` is
    the picture's in its data set. `text` is None where no sentence was made. `fields` are those of its record by which
    pictures can be grouped.
    """

    name: str
    prompt: str
    vector: float
    text: float | None
    members: Mapping[str, float]
    fields: Mapping[str, str | int | float | bool | None]

    @property
    def unit(self) -> Hashable:
        """What it shares with pictures that say nothing new: the group of similar prompts, or else the prompt."""
        group = prompt_group(self.fields)
        return self.prompt if group is None else group

    def group(self, field: str) -> str:
        """The value of a field as reports show it."""
        value = self.fields.get(field)
        return NO_GROUP if value is None else str(value)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A picture that was answered. `true` is the unit vector (384,) of its true prompt."""

    pair: Pair
    answer: Prediction
    true: Vector
    score: Score


@dataclass(frozen=True, slots=True)
class Unscored:
    """A picture that could not be read."""

    pair: Pair
    answer: Failure


Outcome: TypeAlias = Scored | Unscored


def sound_pairs(source: str | Path, limit: int | None = None) -> list[Pair]:
    """The first pairs; a fault is an error, for scores of what is left would be those of another data set.

    Raises DataError at the data set's first fault, or where there is no pair.
    """
    pairs = []
    for item in islice(read_pairs(source), limit):
        if isinstance(item, Fault):
            raise DataError(f"{item.where}: {item.message}")
        pairs.append(item)
    if not pairs:
        raise DataError(f"expected pictures with prompts in {printable(str(source))}, found none; check the path")
    return pairs


def outcomes(
    unprompter: Unprompter, pairs: Sequence[Pair], *, text: bool = True, batch_size: int = 8
) -> Iterator[Outcome]:
    """What becomes of each pair, in their order; what the pictures' files say is never looked at."""
    pictures = [pair.picture for pair in pairs]
    answers = unprompter.predict(pictures, ignore_metadata=True, text=text, batch_size=batch_size)

    @functools.lru_cache(_PROMPTS_KEPT)
    def vectors(prompt: str) -> Vector:  # (1, 384)
        return unprompter.encoder.encode([prompt])

    for pair, answer in zip(pairs, answers, strict=True):
        if isinstance(answer, Failure):
            yield Unscored(pair, answer)
        else:
            (true,) = vectors(pair.prompt)
            chosen = unprompter.encoder.encode([answer.prompt])[0] if answer.prompt else None
            yield Scored(pair, answer, true, _score(pair, answer, true, chosen))


def prompt_group(fields: Mapping[str, Any]) -> int | None:
    """The field `group` of a record, in which similar prompts share a number; None where it says none (-1)."""
    group = fields.get("group")
    return group if isinstance(group, int) and not isinstance(group, bool) and group >= 0 else None


def short_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields whose values can name a group: short texts and numbers."""
    return {key: value for key, value in fields.items() if _names_a_group(value)}


def _names_a_group(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_VALUE
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _score(pair: Pair, answer: Prediction, true: Vector, chosen: Vector | None) -> Score:
    """`chosen` is the vector of the sentence, where there is one."""
    return Score(
        name=pair.name,
        prompt=pair.prompt,
        vector=rounded(cosine(true, answer.vector)),
        text=None if chosen is None else rounded(cosine(true, chosen)),
        members={vote.member: rounded(cosine(true, vote.vector)) for vote in answer.votes if vote.vector is not None},
        fields=short_fields(pair.fields),
    )
