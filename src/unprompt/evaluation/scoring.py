"""Labelled pictures: answered, and scored against their true prompts one at a time."""

from __future__ import annotations

import functools
import math
import os
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from unprompt.datasets.pairs import Pair, read_pairs
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.evaluation.metrics import cosine
from unprompt.evaluation.words import WordScore, score_words
from unprompt.output.records import rounded
from unprompt.prediction import Confidence, Failure, Prediction, Vector
from unprompt.unprompter import Unprompter

NO_GROUP = "(none)"
"""The group of pictures without the field."""

_LONGEST_VALUE = 200
"""Maximum length of a field value that can name a group; longer ones are descriptions."""

_PROMPTS_KEPT = 1024
"""Cached vectors of true prompts: pictures with the same prompt often come in a row."""


@dataclass(frozen=True, slots=True)
class Score:
    """The cosines of one picture with its true prompt: of the answer's vector, its text, and each member's vector.

    They are rounded as in records, so that a results file gives the same numbers as the run that wrote it. `name` is
    the picture's name in its data set. `text` is None if no text was written. `fields` are those of its record by which
    pictures can be grouped. `words` is None if no text was written, or if the true prompt has no content word.
    `confidence` is that of the answer, None if the preset is not calibrated.
    """

    name: str
    prompt: str
    vector: float
    text: float | None
    members: Mapping[str, float]
    fields: Mapping[str, str | int | float | bool | None]
    words: WordScore | None = None
    confidence: Confidence | None = None

    @property
    def unit(self) -> Hashable:
        """The unit that the bootstrap resamples: the group of similar prompts if there is one, else the prompt."""
        group = prompt_group(self.fields)
        return self.prompt if group is None else group

    def group(self, field: str) -> str:
        """The value of a field as reports show it."""
        value = self.fields.get(field)
        return NO_GROUP if value is None else str(value)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A picture that was answered; `true` is the unit vector (384,) of its true prompt."""

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


def sound_pairs(
    source: str | Path, limit: int | None = None, *, root: str | None = None, faults: Counter[str] | None = None
) -> list[Pair]:
    """The first `limit` pairs of a data set; `root` as for `read_pairs`. Faults are counted in `faults` if it is given.

    Raises DataError at the first fault without it, since scores without that pair would be those of another data set;
    if there is no pair; and if none of the pictures is where the data set says.
    """
    pairs = []
    for item in islice(read_pairs(source, root), limit):
        if isinstance(item, Pair):
            pairs.append(item)
        elif faults is None:
            raise DataError(f"{item.where}: {item.message}")
        else:
            faults[item.kind] += 1
    if not pairs:
        raise DataError(f"expected pictures with prompts in {printable(str(source))}, found none; check the path")
    files = [pair.picture.file for pair in pairs]
    if not any(file is None or os.path.lexists(file) for file in files):
        raise DataError(
            f"expected the pictures of {printable(str(source))} where it says, found none of {len(files):,}, the first "
            f"at {printable(os.path.abspath(str(files[0])))}; give the folder that holds them: --root FOLDER"
        )
    return pairs


def outcomes(
    unprompter: Unprompter, pairs: Sequence[Pair], *, text: bool = True, batch_size: int = 8
) -> Iterator[Outcome]:
    """Answer and score the pairs in order; metadata in the picture files is ignored."""
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
    """The field `group` of a record, a number shared by similar prompts; None if it is missing or -1."""
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
    """`chosen` is the vector of the answer's text, None if there is none."""
    return Score(
        name=pair.name,
        prompt=pair.prompt,
        vector=rounded(cosine(true, answer.vector)),
        text=None if chosen is None else rounded(cosine(true, chosen)),
        members={vote.member: rounded(cosine(true, vote.vector)) for vote in answer.votes if vote.vector is not None},
        fields=short_fields(pair.fields),
        words=score_words(answer.prompt, [pair.prompt, *_captions(pair)]) if answer.prompt else None,
        confidence=None if answer.confidence is None else _rounded(answer.confidence),
    )


def _rounded(found: Confidence) -> Confidence:
    return Confidence(rounded(found.estimate), rounded(found.low), rounded(found.high))


def _captions(pair: Pair) -> list[str]:
    """What other people wrote of the same picture."""
    captions = pair.fields.get("captions")
    return [text for text in captions if isinstance(text, str)] if isinstance(captions, list) else []
