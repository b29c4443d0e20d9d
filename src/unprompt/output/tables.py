"""Converts answers to rows of a table, for csv and parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unprompt.errors import DataError

if TYPE_CHECKING:
    from unprompt.output.records import Record


_OF_ANSWER = ("source", "prompt", "text", "origin", "self_similarity", "embedding")
_OF_FILE = ("tool", "certainty", "negative_prompt", "note")
_NESTED = ("settings", "resources", "texts", "candidates", "votes")


def table_columns(*, text: bool = False, embedding: bool = False) -> tuple[str, ...]:
    """The columns of every row, in order; `text` and `embedding` only on request."""
    return (
        "source",
        "prompt",
        *(("text",) if text else ()),
        "origin",
        "confidence",
        "confidence_low",
        "confidence_high",
        "concepts",
        "tool",
        "certainty",
        "negative_prompt",
        "settings",
        "resources",
        "note",
        "missing",
        "error_kind",
        "error_message",
        *(("embedding",) if embedding else ()),
    )


def table_row(record: Record) -> dict[str, Any]:
    """Convert a record to cells, also of "self_similarity", "texts", "candidates" and "votes".

    Confidence becomes three numbers, concepts a text ("castle 0.83; oil painting 0.41"), other nested values JSON, and
    missing values None.

    Raises DataError for a record that is not an answer, such as scores.
    """
    if "prompt" not in record and "error" not in record:
        raise DataError("expected answers to write as a table, found other records; use --format text, json or jsonl")
    error, missing = record.get("error", {}), record.get("model", {}).get("missing")
    sure = record.get("confidence", {})
    return {
        **{name: record.get(name) for name in (*_OF_ANSWER, *_OF_FILE)},
        "confidence": sure.get("estimate"),
        "confidence_low": sure.get("low"),
        "confidence_high": sure.get("high"),
        "concepts": concepts_text(record["concepts"]) if "concepts" in record else None,
        **{name: json_cell(record[name]) if name in record else None for name in _NESTED},
        "missing": json_cell(missing) if missing else None,
        "error_kind": error.get("kind"),
        "error_message": error.get("message"),
    }


def concepts_text(concepts: Sequence[Record]) -> str:
    """Show concepts in one line, each with its probability, as people read them."""
    return "; ".join(f"{concept['name']} {concept['probability']:.2f}" for concept in concepts)


def json_cell(value: object) -> str:
    """Convert a nested value to the text of a cell."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
