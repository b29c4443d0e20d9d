"""Results files: the outcome of each picture as JSON lines, so that runs can be compared without repeating them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from unprompt.display import printable
from unprompt.errors import DataError, PictureError
from unprompt.evaluation.scoring import Outcome, Score, Unscored, short_fields
from unprompt.evaluation.words import WordScore
from unprompt.images.files import opened
from unprompt.images.lists import LINE_LIMIT
from unprompt.output.records import Record, failure_record
from unprompt.prediction import Confidence

RESULTS_SUFFIX = ".jsonl"

_COSINE_LIMIT = 1.0001  # allows for rounding


@dataclass(frozen=True, slots=True)
class Results:
    """The contents of a results file: its scores, the number of failed pictures, and the distinct models behind it."""

    scores: list[Score]
    failed: int
    models: list[Mapping[str, Any]]


def result_record(outcome: Outcome) -> Record:
    """One line of a results file."""
    pair, answer = outcome.pair, outcome.answer
    known: Record = {"name": pair.name, "true_prompt": pair.prompt, "fields": short_fields(pair.fields)}
    if isinstance(outcome, Unscored):
        return known | failure_record(outcome.answer)
    score = outcome.score
    return known | {
        "source": answer.source,
        "predicted_prompt": outcome.answer.prompt,
        "vector": score.vector,
        "text": score.text,
        "members": dict(score.members),
        "words": None if score.words is None else asdict(score.words),
        "confidence": None if score.confidence is None else asdict(score.confidence),
        "model": dict(outcome.answer.model),
    }


def read_results(path: Path) -> Results:
    """Read a file of `result_record` objects, one a line; an incomplete last line, left by a kill, is ignored.

    Raises DataError, with the line number, for any other content and for scores that are not cosines.
    """
    scores: dict[str, Score] = {}
    models: list[Mapping[str, Any]] = []
    failed = 0
    for where, line in _lines(path):
        record = _parsed(line, where)
        if record is None and not line.endswith("\n"):
            break
        if not isinstance(record, dict) or not isinstance(record.get("name"), str):
            raise DataError(f"{where}: expected a result of `unprompt evaluate --results`, found {_shown(line)}")
        if "error" in record:
            failed += 1
            continue
        if record["name"] in scores:
            raise DataError(f"{where}: expected a picture once, found {_shown(record['name'])} again; keep one of them")
        scores[record["name"]] = _score(record, where)
        if isinstance(model := record.get("model"), dict) and model not in models:
            models.append(model)
    if not scores:
        raise DataError(f"{printable(str(path))}: expected results of `unprompt evaluate --results`, found no scores")
    return Results(list(scores.values()), failed, models)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not blank, each with its position. Raises DataError if the file cannot be read."""
    name = printable(str(path))
    try:
        with opened(str(path)) as file:
            number = 0
            while line := file.readline(LINE_LIMIT + 1):
                number += 1
                if len(line) > LINE_LIMIT:
                    raise DataError(f"{name}:{number}: expected a result, found a line of more than {LINE_LIMIT} bytes")
                if line.strip():
                    yield f"{name}:{number}", line.decode("utf-8", "replace")
    except PictureError as error:
        raise DataError(f"expected results of `unprompt evaluate --results` at {name}: {error}") from error


def _parsed(line: str, where: str) -> Any:
    """The value of the line; None if it is not JSON."""

    def refuse(constant: str) -> NoReturn:
        raise DataError(f"{where}: expected finite numbers, found {constant}; run the evaluation again")

    try:
        return json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None


def _score(record: Mapping[str, Any], where: str) -> Score:
    prompt, members, fields = record.get("true_prompt"), record.get("members"), record.get("fields")
    if not isinstance(prompt, str) or not isinstance(members, dict) or not isinstance(fields, dict):
        raise DataError(
            f"{where}: expected a result with true_prompt, members and fields, found {_shown(', '.join(record))}; "
            "write it with `unprompt evaluate --results`"
        )
    text = record.get("text")
    return Score(
        name=record["name"],
        prompt=prompt,
        vector=_cosine(record.get("vector"), "vector", where),
        text=None if text is None and "text" in record else _cosine(text, "text", where),
        members={name: _cosine(value, f"members.{name}", where) for name, value in members.items()},
        fields=short_fields(fields),
        words=_words(record.get("words"), where),
        confidence=_confidence(record.get("confidence"), where),
    )


def _confidence(found: Any, where: str) -> Confidence | None:
    """The confidence; None for a preset without, and for a file that was written before there were any."""
    if found is None:
        return None
    if not isinstance(found, dict):
        raise DataError(f"{where}: expected confidence to be estimate, low and high, found {_shown(found)}")
    return Confidence(*(_cosine(found.get(key), f"confidence.{key}", where) for key in ("estimate", "low", "high")))


def _words(found: Any, where: str) -> WordScore | None:
    """The scores of the words; None for a file that was written before they were measured."""
    if found is None:
        return None
    shares = [found.get(key) for key in ("precision", "recall")] if isinstance(found, dict) else [None]
    right = all(isinstance(share, (int, float)) and 0 <= share <= 1 for share in shares)
    if not right or not isinstance(found.get("subject"), bool):
        raise DataError(f"{where}: expected words to be precision, recall and subject, found {_shown(found)}")
    return WordScore(**{key: found[key] for key in ("precision", "recall", "subject")})


def _cosine(value: Any, key: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _COSINE_LIMIT:
        raise DataError(f"{where}: expected {printable(key)} to be a cosine, -1 to 1, found {_shown(value)}")
    return float(value)


def _shown(value: Any) -> str:
    text = "null" if value is None else printable(str(value).strip())
    return text if len(text) <= 80 else f"{text[:80]}..."
