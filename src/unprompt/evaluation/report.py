"""The report of an evaluation: a preset's scores on labelled pictures, overall and by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unprompt.display import printable
from unprompt.errors import UnknownNameError
from unprompt.evaluation.metrics import RESAMPLES, bootstrap
from unprompt.evaluation.reliability import Judged, reliability, reliability_record
from unprompt.evaluation.scoring import Outcome, Score, Unscored, outcomes, prompt_group, short_fields, sound_pairs
from unprompt.evaluation.words import WordScore
from unprompt.output.records import failure_record, rounded
from unprompt.prediction import Failure
from unprompt.unprompter import Unprompter

Report = dict[str, Any]


def evaluate(
    unprompter: Unprompter,
    source: str | Path,
    *,
    by: str | None = None,
    limit: int | None = None,
    text: bool = True,
    batch_size: int = 8,
    root: str | None = None,
    skip_bad: bool = False,
    heard: Callable[[Outcome, int], None] = lambda outcome, total: None,
) -> Report:
    """Score a preset on the pairs of a data set, given as for `read_pairs`; metadata in the picture files is ignored.

    The report is {n, vector {mean, low, high}, text {..}, words {precision {..}, recall {..}, f1 {..}, subject {..}},
    confidence {n, error, error_without, bias, coverage, correlation, bins [..]}, members {name: {..}}, groups {value of
    the field `by`: {n, vector, text, words, confidence}}, failures [{source, error}], intervals {..}, model {..}}: mean
    cosines with 95 % bootstrap intervals, null if nothing was scored; how the
    intervals were computed; and which models computed the answers. `text=False` skips sentences. `heard` is called
    after each picture with its outcome and the number of pictures. `root` is as for `read_pairs`. Raises DataError at
    the first fault in the data set, unless `skip_bad`, which leaves it out and counts it as one of `faults` {kind: n};
    UnknownNameError if no record has the field `by`.
    """
    faults: Counter[str] = Counter()
    pairs = sound_pairs(source, limit, root=root, faults=faults if skip_bad else None)
    check_field(by, (short_fields(pair.fields) for pair in pairs), str(source))
    scores: list[Score] = []
    failures: list[Failure] = []
    for outcome in outcomes(unprompter, pairs, text=text, batch_size=batch_size):
        if isinstance(outcome, Unscored):
            failures.append(outcome.answer)
        else:
            scores.append(outcome.score)
        heard(outcome, len(pairs))
    skipped = {"faults": dict(faults)} if faults else {}
    return _report(scores, failures, by) | skipped | {"model": dict(unprompter.identity(text=text))}


def check_field(field: str | None, records: Iterable[Iterable[str]], where: str) -> None:
    """Raise UnknownNameError if pictures are to be grouped by a field that no record has."""
    if field is None:
        return
    known: set[str] = set()
    for fields in records:
        known.update(fields)
        if field in known:
            return
    raise UnknownNameError(f"field in {printable(where)}", field, known)


def grouped(scores: Iterable[Score], field: str | None) -> dict[str, list[Score]]:
    """The scores by value of a field, sorted by value; empty if `field` is None."""
    groups: dict[str, list[Score]] = {}
    if field is None:
        return groups
    for score in scores:
        groups.setdefault(score.group(field), []).append(score)
    return dict(sorted(groups.items()))


def intervals_made(scores: Sequence[Score]) -> Report:
    """How the intervals of these scores were computed: the method, the resampled units, the number of resamples."""
    similar = any(prompt_group(score.fields) is not None for score in scores)
    return {
        "method": "percentile bootstrap",
        "resampled": "groups of similar prompts" if similar else "prompts",
        "units": len({score.unit for score in scores}),
        "resamples": RESAMPLES,
    }


def numbers(found: Any) -> dict[str, float | None] | None:
    """A mean or difference as the report holds it."""
    if found is None:
        return None
    return {key: None if value is None else rounded(value) for key, value in asdict(found).items()}


def _report(scores: Sequence[Score], failures: Sequence[Failure], by: str | None) -> Report:
    members = dict.fromkeys(name for score in scores for name in score.members)
    return {
        **_means(scores),
        "members": {
            name: _mean([(score.members[name], score) for score in scores if name in score.members]) for name in members
        },
        "groups": {name: _means(group) for name, group in grouped(scores, by).items()},
        "failures": [failure_record(failure) for failure in failures],
        "intervals": intervals_made(scores),
    }


def _means(scores: Sequence[Score]) -> Report:
    return {
        "n": len(scores),
        "vector": _mean([(score.vector, score) for score in scores]),
        "text": _mean([(score.text, score) for score in scores if score.text is not None]),
        "words": _words([(score.words, score) for score in scores if score.words is not None]),
        "confidence": _confidence(scores),
    }


def _confidence(scores: Sequence[Score]) -> Report | None:
    """How reliable the confidences are; None if no picture has one."""
    judged = [Judged(score.confidence, score.vector) for score in scores if score.confidence is not None]
    return reliability_record(reliability(judged)) if judged else None


def _words(found: Sequence[tuple[WordScore, Score]]) -> Report | None:
    """The mean of each measure over pictures; of `subject`, the share of pictures."""
    if not found:
        return None
    measures = ("precision", "recall", "f1", "subject")
    return {key: _mean([(float(getattr(words, key)), score) for words, score in found]) for key in measures}


def _mean(values: Sequence[tuple[float, Score]]) -> dict[str, float | None] | None:
    return numbers(bootstrap([value for value, _ in values], [score.unit for _, score in values]))
