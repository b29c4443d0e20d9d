"""Answers as JSON objects: the one form that the command line, files and the service share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unprompt.prediction import (
    Candidate,
    Concept,
    Confidence,
    Failure,
    Prediction,
    Resource,
    Term,
    Vector,
    Vote,
    WrittenPrompt,
    WrittenText,
)

Record = dict[str, Any]

_DIGITS = 6
"""Decimals of a number: finer than the models can distinguish, coarser than float32's precision of a cosine."""

_CUT = "the prompt is longer than the encoder of sentences reads, so its own vector is that of its beginning"

CONCEPTS_WRITTEN = 20
"""The most concepts in a record; the others are hardly probable."""


def to_record(result: Prediction | Failure, *, embedding: bool = False) -> Record:
    """Convert an answer to JSON: `source` and `error`, or the prompt with its candidates, votes and metadata.

    Keys without a value are omitted, and `is_cut` where it is false. `similarity` is the old name of `self_similarity`,
    for readers of before.
    `embedding` adds the vector's 384 numbers.
    """
    if isinstance(result, Failure):
        return failure_record(result)
    record: Record = {
        "source": result.source,
        "prompt": result.prompt,
        "origin": result.origin,
        **({} if result.confidence is None else {"confidence": confidence_record(result.confidence)}),
        **({"concepts": _concepts(result.concepts)} if result.concepts else {}),
        "self_similarity": _rounded(result.self_similarity),
        "similarity": _rounded(result.self_similarity),
        "candidates": [_candidate(candidate) for candidate in result.candidates],
        "votes": _votes(result.votes),
    }
    negative = next((vote.negative_prompt for vote in result.votes if vote.negative_prompt is not None), None)
    if negative is not None:
        record["negative_prompt"] = negative
    if result.written is not None:
        record |= _written(result.written)
    if result.is_cut:
        record |= {"is_cut": True, "note": f"{record['note']}; {_CUT}" if "note" in record else _CUT}
    record["model"] = dict(result.model)
    if embedding:
        record["embedding"] = [rounded(number) for number in result.vector.tolist()]
    return record


def failure_record(failure: Failure) -> Record:
    """Convert a failure to `source` and `error` {kind, message}."""
    return {"source": failure.source, "error": {"kind": failure.kind, "message": failure.message}}


def metadata_record(source: str, written: WrittenPrompt | None) -> Record:
    """Convert what a file's metadata says; `prompt` is null if none is written, and `tool` if no maker is."""
    if written is None:
        return {"source": source, "tool": None, "prompt": None}
    record: Record = {"source": source, "tool": written.tool, "prompt": written.prompt or None} | _written(written)
    if written.candidates:
        record["candidates"] = [{"text": text} for text in written.candidates]
    return record | ({"raw": written.raw} if written.raw else {})


def scores_record(source: str, scores: Sequence[Candidate]) -> Record:
    """Convert the similarities of prompts to a picture."""
    return {
        "source": source,
        "scores": [{"text": score.text, "similarity": rounded(score.similarity)} for score in scores],
    }


def confidence_record(confidence: Confidence) -> Record:
    """Convert a confidence to {estimate, low, high}."""
    return {"estimate": rounded(confidence.estimate), "low": rounded(confidence.low), "high": rounded(confidence.high)}


def rounded(number: float) -> float:
    """Round a number to the decimals of records."""
    return round(float(number), _DIGITS)


def _rounded(number: float | None) -> float | None:
    return None if number is None else rounded(number)


def _concepts(concepts: Sequence[Concept]) -> list[Record]:
    return [_concept(concept) for concept in concepts[:CONCEPTS_WRITTEN]]


def _concept(concept: Concept) -> Record:
    """Convert a concept; `category` is omitted if the member does not know it."""
    record: Record = {"name": concept.name, "probability": rounded(concept.probability)}
    return record | ({"category": concept.category} if concept.category else {})


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
    if vote.note:
        record["note"] = vote.note
    return record


def _term(term: Term) -> Record:
    """Convert a term; `gain` is omitted if it was not measured."""
    record: Record = {"text": term.text, "list": term.category, "similarity": rounded(term.similarity)}
    if term.gain is not None:
        record["gain"] = rounded(term.gain)
    return record


def _written(written: WrittenPrompt) -> Record:
    """Convert `tool` and `certainty`, and of all else that the file may hold what it does."""
    record: Record = {"tool": written.tool}
    if written.prompt:
        record["certainty"] = written.certainty
    if written.negative_prompt:
        record["negative_prompt"] = written.negative_prompt
    if written.settings:
        record["settings"] = dict(written.settings)
    if written.resources:
        record["resources"] = [_resource(resource) for resource in written.resources]
    if _has_other_texts(written):
        record["texts"] = [_text(text) for text in written.texts]
    if written.note:
        record["note"] = written.note
    return record


def _has_other_texts(written: WrittenPrompt) -> bool:
    own = {("positive", written.prompt), ("negative", written.negative_prompt)}
    return any((text.role, text.text) not in own for text in written.texts)


def _text(text: WrittenText) -> Record:
    """Convert a text; its `weight` is omitted if it is 1."""
    record: Record = {"role": text.role, "text": text.text}
    if text.node:
        record["node"] = text.node
    if text.weight != 1:
        record["weight"] = rounded(text.weight)
    return record


def _resource(resource: Resource) -> Record:
    record: Record = {"kind": resource.kind, "name": resource.name}
    if resource.weight is not None:
        record["weight"] = rounded(resource.weight)
    if resource.hash is not None:
        record["hash"] = resource.hash
    return record
