"""Answers as rows of a table: the columns that csv and parquet share, and the writer of csv."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

from unprompt.errors import DataError
from unprompt.output.records import Record

if TYPE_CHECKING:
    from unprompt.output.lines import Stream

_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_CELL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no cell of a csv file may hold: some readers stop at it, and a terminal would obey it."""


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
        **{name: _json(record[name]) if name in record else None for name in ("settings", "candidates", "votes")},
        "missing": _json(missing) if missing else None,
        "error_kind": error.get("kind"),
        "error_message": error.get("message"),
    }


def without_surrogates(text: str) -> str:
    """The text with lone surrogates, as in file names that are no UTF-8, escaped as JSON escapes them."""
    # Most texts have none, and encoding finds that out faster than a pattern.
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(_escape, text)
    return text


class CsvWriter:
    """A header, and a row a record, quoted as RFC 4180 says; a line ends with a line feed alone.

    Line ends within a cell become line feeds; other control characters and lone surrogates are escaped as in JSON.
    A cell that begins with = + - @ stays as it is, although a spreadsheet may take it for a formula: a file for
    programs must say what was answered, and prompts do begin so. Import it into a spreadsheet as text.
    """

    def __init__(self, stream: Stream, columns: tuple[str, ...]) -> None:
        self._stream, self._columns = stream, columns
        self._rows = csv.writer(stream, lineterminator="\n")
        self._rows.writerow(columns)
        stream.flush()

    def write(self, record: Record) -> None:
        """Write the record's row."""
        row = table_row(record)
        self._rows.writerow([_cell(row[column]) for column in self._columns])
        self._stream.flush()

    def close(self) -> None:
        """Nothing follows the last row."""


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return _NO_CELL.sub(_escape, value.replace("\r\n", "\n"))
    return _json(value) if isinstance(value, list) else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
