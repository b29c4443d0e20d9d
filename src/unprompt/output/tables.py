"""Answers as rows of a table: what csv and parquet share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from unprompt.errors import DataError

if TYPE_CHECKING:
    from unprompt.output.records import Record


def table_columns(*, text: bool = False, embedding: bool = False) -> tuple[str, ...]:
    """The columns of every row, in order. `text` and `embedding` are there when they are asked for."""
    return (
        "source",
        "prompt",
        *(("text",) if text else ()),
        "origin",
        "similarity",
        "tool",
        "negative_prompt",
        "settings",
        "missing",
        "error_kind",
        "error_message",
        *(("embedding",) if embedding else ()),
    )


def table_row(record: Record) -> dict[str, Any]:
    """Every cell of a record's row, "candidates" and "votes" among them; what is nested is JSON, what is missing None.

    Raises DataError for a record that is no answer, such as scores.
    """
    if "prompt" not in record and "error" not in record:
        raise DataError("expected answers to write as a table, found other records; use --format text, json or jsonl")
    error, missing = record.get("error", {}), record.get("model", {}).get("missing")
    plain = ("source", "prompt", "text", "origin", "similarity", "tool", "negative_prompt", "embedding")
    return {
        **{name: record.get(name) for name in plain},
        **{name: json_cell(record[name]) if name in record else None for name in ("settings", "candidates", "votes")},
        "missing": json_cell(missing) if missing else None,
        "error_kind": error.get("kind"),
        "error_message": error.get("message"),
    }


def json_cell(value: object) -> str:
    """What is nested, as the text of a cell."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
