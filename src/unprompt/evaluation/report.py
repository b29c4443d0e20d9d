"""Scores of a preset on labelled pictures, whole and by group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from unprompt.datasets.pairs import Fault, Pair, read_pairs
from unprompt.errors import DataError, UnknownNameError
from unprompt.evaluation.metrics import bootstrap, cosine
from unprompt.output.records import failure_record, rounded
from unprompt.prediction import Failure, Prediction
from unprompt.unprompter import Unprompter

Report = dict[str, Any]

NO_GROUP = "(none)"
"""The group of records that lack the field."""


@dataclass(frozen=True, slots=True)
class _Score:
    """One picture's cosines with the true prompt: of the fused vector, of the sentence, of each member's vector."""

    group: str | None
    vector: float
    text: float | None
    members: dict[str, float]


def evaluate(
    unprompter: Unprompter,
    source: str | Path,
    *,
    by: str | None = None,
    limit: int | None = None,
    text: bool = True,
    batch_size: int = 8,
    advance: Callable[[Prediction | Failure, int], None] = lambda answer, total: None,
) -> Report:
    """Scores on the pairs of a data set, as `read_pairs` takes it; what the pictures' files say is never looked at.

    The report is {n, vector {mean, low, high}, text {..}, members {name: {..}}, groups {value of the field `by`: {n,
    vector, text}}, failures [{source, error}]}: mean cosines with bootstrap intervals of 95 %, null where nothing was
    scored. Without `text` no sentences are made. `advance` hears of each answer, and of how many there will be. Raises
    DataError at the data set's first fault, UnknownNameError where no record has the field `by`.
    """
    records = _sound_pairs(source, limit)
    if by is not None and not any(by in record.fields for record in records):
        raise UnknownNameError(f"field in {source}", by, {key for record in records for key in record.fields})
    scores: list[_Score] = []
    failures: list[Failure] = []
    for record, answer in _answers(unprompter, records, text, batch_size):
        if isinstance(answer, Failure):
            failures.append(answer)
        else:
            scores.append(_score(unprompter, record, answer, by))
        advance(answer, len(records))
    return _report(scores, failures)


def _sound_pairs(source: str | Path, limit: int | None) -> list[Pair]:
    """The first pairs; a fault is an error, for scores of what is left would be those of another data set."""
    pairs = []
    for item in islice(read_pairs(source), limit):
        if isinstance(item, Fault):
            raise DataError(f"{item.where}: {item.message}")
        pairs.append(item)
    if not pairs:
        raise DataError(f"expected pictures with prompts in {source}, found none; check the path")
    return pairs


def _answers(
    unprompter: Unprompter, records: Sequence[Pair], text: bool, batch_size: int
) -> Iterator[tuple[Pair, Prediction | Failure]]:
    pictures = [record.picture for record in records]
    answers = unprompter.predict(pictures, ignore_metadata=True, text=text, batch_size=batch_size)
    return zip(records, answers, strict=True)


def _score(unprompter: Unprompter, record: Pair, answer: Prediction, by: str | None) -> _Score:
    texts = [record.prompt, answer.prompt] if answer.prompt else [record.prompt]
    true, *chosen = unprompter.encoder.encode(texts)  # (384,) each
    return _Score(
        group=None if by is None else str(record.fields.get(by, NO_GROUP)),
        vector=cosine(true, answer.vector),
        text=cosine(true, chosen[0]) if chosen else None,
        members={vote.member: cosine(true, vote.vector) for vote in answer.votes if vote.vector is not None},
    )


def _report(scores: Sequence[_Score], failures: Sequence[Failure]) -> Report:
    members = {name: [score.members[name] for score in scores if name in score.members] for name in _members(scores)}
    groups = {name: [score for score in scores if score.group == name] for name in _groups(scores)}
    return {
        **_means(scores),
        "members": {name: _mean(values) for name, values in members.items()},
        "groups": {name: _means(group) for name, group in groups.items()},
        "failures": [failure_record(failure) for failure in failures],
    }


def _members(scores: Sequence[_Score]) -> list[str]:
    return list(dict.fromkeys(name for score in scores for name in score.members))


def _groups(scores: Sequence[_Score]) -> list[str]:
    """The groups by name; none where nothing was asked to be grouped."""
    return sorted({score.group for score in scores if score.group is not None})


def _means(scores: Sequence[_Score]) -> Report:
    return {
        "n": len(scores),
        "vector": _mean([score.vector for score in scores]),
        "text": _mean([score.text for score in scores if score.text is not None]),
    }


def _mean(values: Sequence[float]) -> dict[str, float] | None:
    found = bootstrap(values)
    return None if found is None else {key: rounded(value) for key, value in asdict(found).items()}
