"""Answers as JSON objects: the one form that the command line, files and the service share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unprompt.prediction import Candidate, Failure, Prediction, Term, Vector, Vote, WrittenPrompt

Record = dict[str, Any]

_DIGITS = 6
"""Decimals of a number: finer than the models can distinguish, coarser than float32's precision of a cosine."""


def to_record(result: Prediction | Failure, *, embedding: bool = False) -> Record:
    """Convert an answer to JSON: `source` and `error`, or the prompt with its candidates, votes and metadata.

    Keys without a value are omitted. `embedding` adds the vector's 384 numbers.
    """
    if isinstance(result, Failure):
        return failure_record(result)
    record: Record = {
        "source": result.source,
        "prompt": result.prompt,
        "origin": result.origin,
        "similarity": None if result.similarity is None else rounded(result.similarity),
        "candidates": [_candidate(candidate) for candidate in result.candidates],
        "votes": _votes(result.votes),
    }
    negative = next((vote.negative_prompt for vote in result.votes if vote.negative_prompt is not None), None)
    if negative is not None:
        record["negative_prompt"] = negative
    if result.written is not None:
        record |= _written(result.written)
    record["model"] = dict(result.model)
    if embedding:
        record["embedding"] = [rounded(number) for number in result.vector.tolist()]
    return record


def failure_record(failure: Failure) -> Record:
    """Convert a failure to `source` and `error` {kind, message}."""
    return {"source": failure.source, "error": {"kind": failure.kind, "message": failure.message}}


def metadata_record(source: str, written: WrittenPrompt | None) -> Record:
    """Convert the prompt in a file's metadata; `tool` and `prompt` are null if there is none."""
    if written is None:
        return {"source": source, "tool": None, "prompt": None}
    record = {"source": source, "tool": written.tool, "prompt": written.prompt}
    return record | _written(written) | {"raw": written.raw}


def scores_record(source: str, scores: Sequence[Candidate]) -> Record:
    """Convert the similarities of prompts to a picture."""
    return {
        "source": source,
        "scores": [{"text": score.text, "similarity": rounded(score.similarity)} for score in scores],
    }


def rounded(number: float) -> float:
    """Round a number to the decimals of records."""
    return round(float(number), _DIGITS)


def _candidate(candidate: Candidate) -> Record:
    return {"text": candidate.text, "similarity": rounded(candidate.similarity), "from": candidate.origin}


def _votes(votes: Sequence[Vote]) -> list[Record]:
    from unprompt.answer.fusing import fuse

    fused = fuse(votes) if any(vote.vector is not None for vote in votes) else None
    return [_vote(vote, fused) for vote in votes]


def _vote(vote: Vote, fused: Vector | None) -> Record:
    """Convert a vote; `similarity` is the cosine of its vector with the fused one."""
    record: Record = {"member": vote.member, "weight": rounded(vote.weight)}
    if vote.vector is not None and fused is not None:
        record["similarity"] = rounded(float(vote.vector @ fused))
    if vote.texts:
        record["text"] = vote.texts[0]
    if vote.text_similarity is not None:
        record["text_similarity"] = rounded(vote.text_similarity)
    if vote.terms:
        record["terms"] = [_term(term) for term in vote.terms]
    return record


def _term(term: Term) -> Record:
    """Convert a term; `gain` is omitted if it was not measured."""
    record: Record = {"text": term.text, "list": term.category, "similarity": rounded(term.similarity)}
    if term.gain is not None:
        record["gain"] = rounded(term.gain)
    return record


def _written(written: WrittenPrompt) -> Record:
    """Convert `tool`, and `negative_prompt` and `settings` if the file has them."""
    record: Record = {"tool": written.tool}
    if written.negative_prompt:
        record["negative_prompt"] = written.negative_prompt
    if written.settings:
        record["settings"] = dict(written.settings)
    return record
