"""Tables of pictures with their prompts: JSON lines and CSV, including Hugging Face's metadata files."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from typing import Any

from unprompt.datasets.lines import placed_lines
from unprompt.datasets.records import (
    PROMPT_KEYS,
    Fault,
    Record,
    SharedTexts,
    picture_beside,
    shown,
    wrong_columns,
)
from unprompt.display import printable
from unprompt.images.metadata.bounded_json import parse

TABLE_SUFFIXES = (".jsonl", ".csv")
METADATA_NAMES = ("metadata.jsonl", "metadata.csv")
"""The names of a table that describes the folder it lies in (Hugging Face's ImageFolder)."""

_NAME_KEY = "file_name"
_EXAMPLE = '{"file_name": "a.png", "prompt": "a cat in a hat"}'


def table_records(path: str, root: str) -> Iterator[Record | Fault]:
    """The records of a table, in order, each named by its picture's path relative to `root`, a parent folder.

    Raises DataError if the file cannot be read.
    """
    folder = os.path.dirname(path)
    inside = os.path.relpath(folder or os.curdir, root or os.curdir)
    rows = _csv_rows(path) if path.lower().endswith(".csv") else _json_rows(path)
    for row in rows:
        if isinstance(row, Fault):
            yield row
            continue
        where, fields = row
        if _NAME_KEY not in fields:
            yield wrong_columns(where, "a picture", [_NAME_KEY], fields)
            continue
        found = picture_beside(folder, fields.pop(_NAME_KEY), where)
        if isinstance(found, Fault):
            yield found
        else:
            name, picture = found
            yield Record(where, name if inside == os.curdir else f"{inside}/{name}", picture, fields)


def _json_rows(path: str) -> Iterator[tuple[str, dict[str, Any]] | Fault]:
    share = SharedTexts()
    for where, line in placed_lines(path):
        if isinstance(line, Fault):
            yield line
        elif line.strip():
            record = parse(line)
            if isinstance(record, dict):
                yield where, share.fields(record)
            else:
                yield Fault("broken-record", where, f"expected a JSON object such as {_EXAMPLE}, found {shown(line)}")


def _csv_rows(path: str) -> Iterator[tuple[str, dict[str, Any]] | Fault]:
    header: list[str] | None = None
    share = SharedTexts()
    for item in _csv_cells(path):
        if isinstance(item, Fault):
            yield item
            continue
        where, row = item
        if header is None:
            header = row
            if fault := _header_fault(header, where):
                yield fault
                return
        elif len(row) == len(header):
            yield _typed(where, share.fields(dict(zip(header, row, strict=True))))
        else:
            expected = f"expected {len(header)} cells, as in the first line, found {len(row)}"
            yield Fault("broken-record", where, f"{expected}; put cells that hold a comma or a quote into quotes")


def _csv_cells(path: str) -> Iterator[tuple[str, list[str]] | Fault]:
    """The cells of each row that is not blank, with the line on which the row begins."""
    shown_path = printable(path)
    faults: list[Fault] = []
    reader = csv.reader(_csv_lines(path, faults), strict=True)
    while True:
        where = f"{shown_path}:{reader.line_num + 1}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            expected = f"expected a row of CSV, found: {printable(str(error))}"
            faults.append(Fault("broken-record", where, f"{expected}; mend the quotes"))
            row = []
        yield from faults
        faults.clear()
        if row is None:
            return
        if row:
            yield where, row


def _header_fault(header: list[str], where: str) -> Fault | None:
    if len(set(header)) < len(header):
        return Fault("wrong-columns", where, f"expected each column once, found {shown(', '.join(header))}")
    if _NAME_KEY not in header:
        return wrong_columns(where, "a column of pictures", [_NAME_KEY], header)
    if not any(key in header for key in PROMPT_KEYS):
        return wrong_columns(where, "a column of prompts", PROMPT_KEYS, header)
    return None


def _typed(where: str, cells: dict[str, Any]) -> tuple[str, dict[str, Any]] | Fault:
    """The cells, with `group` parsed as a number and `captions` as a JSON list."""
    for key in ("group", "captions"):
        if text := cells.get(key):
            value = parse(text)
            if value is None:
                expected = "a whole number" if key == "group" else 'a JSON list such as ["a cat", "a hat"]'
                return Fault("broken-record", where, f"expected {key!r} to be {expected}, found {shown(text)}")
            cells[key] = value
        elif text == "":
            cells[key] = None
    return where, cells


def _csv_lines(path: str, faults: list[Fault]) -> Iterator[str]:
    """The lines for the CSV reader; a line with a fault is replaced by a blank one."""
    for _where, line in placed_lines(path):
        if isinstance(line, Fault):
            faults.append(line)
            yield "\n"
        else:
            yield line
