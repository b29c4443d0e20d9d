"""Tables of pictures with their prompts: JSON lines and CSV, including Hugging Face's metadata files, and JSON files.

Source: for kohya's meta_cap.json, library/train_util.py of kohya-ss/sd-scripts, `FineTuningDataset`, and finetune/.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeAlias

from unprompt.datasets.arrays import record_texts
from unprompt.datasets.captions import text_fields
from unprompt.datasets.lines import placed_lines
from unprompt.datasets.places import picture_named
from unprompt.datasets.records import (
    PICTURE_KEYS,
    PROMPT_KEYS,
    Fault,
    Record,
    SharedTexts,
    key_of,
    shown,
    wrong_columns,
)
from unprompt.display import printable
from unprompt.images.metadata.bounded_json import parse

CELL_SUFFIXES = (".csv", ".tsv")
TABLE_SUFFIXES = (".jsonl", ".json", *CELL_SUFFIXES)
METADATA_NAMES = ("metadata.jsonl", "metadata.csv")
"""The names of a table that describes the folder it lies in (Hugging Face's ImageFolder)."""

_EXAMPLE = '{"file_name": "a.png", "prompt": "a cat in a hat"}'
_OF_OPEN_CLIP, _TITLE = "filepath", "title"
_CAPTIONS_LIMIT = 1000  # of one picture
_DELIMITERS = ",\t;"

_Row: TypeAlias = tuple[str, dict[str, Any]]
"""Where a record stands, and its fields."""


def table_records(path: str, base: str, *, root: str | None = None, alone: bool = False) -> Iterator[Record | Fault]:
    """The records of a table, in order, each named by its picture's path relative to `base`, a parent folder.

    Pictures lie in or below the folder of the table or, if given, `root`. With `alone`, the records are prompts without
    pictures. Raises DataError if the file cannot be read.
    """
    folder = os.path.dirname(path) if root is None else root
    inside = os.path.relpath(folder or os.curdir, base or os.curdir) if root is None else os.curdir
    for row in _joined(_rows(path, alone)):
        yield row if isinstance(row, Fault) else _record(*row, folder, inside, alone)


def _record(where: str, fields: dict[str, Any], folder: str, inside: str, alone: bool) -> Record | Fault:
    if alone:
        return Record(where, "", None, fields)
    key = key_of(PICTURE_KEYS, fields)
    if key is None:
        return wrong_columns(where, "a picture", PICTURE_KEYS, fields)
    found = picture_named(folder, fields.pop(key), where, key)
    if isinstance(found, Fault):
        return found
    name, picture = found
    return Record(where, name if inside == os.curdir else f"{inside}/{name}", picture, fields)


def _joined(rows: Iterator[_Row | Fault]) -> Iterator[_Row | Fault]:
    """The rows; those of open_clip for one picture, which has one for each of its captions, are one row with all."""
    held: _Row | None = None
    for row in rows:
        if held is not None:
            if not isinstance(row, Fault) and _add_caption(held[1], row[1]):
                continue
            yield held
            held = None
        if not isinstance(row, Fault) and _OF_OPEN_CLIP in row[1] and _TITLE in row[1]:
            held = row
        else:
            yield row
    if held is not None:
        yield held


def _add_caption(fields: dict[str, Any], others: dict[str, Any]) -> bool:
    """Add the other row's caption to a picture's; whether it is the same picture, and there is room."""
    captions = fields.get("captions", [fields[_TITLE]])
    same = others.get(_OF_OPEN_CLIP) == fields[_OF_OPEN_CLIP] and "captions" not in others
    if not (same and isinstance(captions, list) and len(captions) < _CAPTIONS_LIMIT and _TITLE in others):
        return False
    captions.append(others[_TITLE])
    fields["captions"] = captions
    return True


def _rows(path: str, alone: bool) -> Iterator[_Row | Fault]:
    lower = path.lower()
    if lower.endswith(CELL_SUFFIXES):
        return _csv_rows(path, alone)
    return _objects(record_texts(path) if lower.endswith(".json") else placed_lines(path))


def _objects(items: Iterator[tuple[str, str | Fault]]) -> Iterator[_Row | Fault]:
    """The JSON objects among texts with their positions."""
    share = SharedTexts()
    for where, text in items:
        if isinstance(text, Fault):
            yield text
        elif text.strip():
            record = parse(text)
            if isinstance(record, dict):
                yield where, share.fields(_of_kohya(record))
            else:
                yield Fault("broken-record", where, f"expected a JSON object such as {_EXAMPLE}, found {shown(text)}")


def _of_kohya(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose picture's name stands before it, with its prompt as kohya's trainers put it together.

    Each line of the caption is followed by the tags. Other records, and those without a text, keep their fields.
    """
    said = next(iter(record.values()), None)
    if len(record) != 1 or not isinstance(said, dict):
        return record
    fields = said if key_of(PICTURE_KEYS, said) else {PICTURE_KEYS[0]: next(iter(record)), **said}
    caption, tags = ((fields.get(key) or "") for key in ("caption", "tags"))
    if not (isinstance(caption, str) and isinstance(tags, str) and (caption + tags).strip()):
        return fields
    fields.pop("caption", None)
    of_caption = text_fields(caption)
    lines = of_caption.get("captions", [of_caption["prompt"]] if of_caption else [])
    if told := ", ".join(line.strip() for line in tags.splitlines() if line.strip()):
        lines = [f"{line}, {told}" for line in lines] or [told]
    return {**fields, "prompt": lines[0], **({"captions": lines} if len(lines) > 1 else {})}


def _csv_rows(path: str, alone: bool) -> Iterator[_Row | Fault]:
    header: list[str] | None = None
    share = SharedTexts()
    for item in _csv_cells(path):
        if isinstance(item, Fault):
            yield item
            continue
        where, row = item
        if header is None:
            header = row
            if fault := _header_fault(header, where, alone):
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
    lines = _csv_lines(path, faults)
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), strict=True, delimiter=_delimiter(first))
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


def _delimiter(header: str) -> str:
    """What separates the cells: a comma, unless another splits the header into more columns that are known."""

    def known(delimiter: str) -> int:
        cells = [cell.strip().strip('"') for cell in header.split(delimiter)]
        return sum(key_of(keys, cells) is not None for keys in (PICTURE_KEYS, PROMPT_KEYS))

    return max(_DELIMITERS, key=known)


def _header_fault(header: list[str], where: str, alone: bool) -> Fault | None:
    if len(set(header)) < len(header):
        return Fault("wrong-columns", where, f"expected each column once, found {shown(', '.join(header))}")
    if not alone and key_of(PICTURE_KEYS, header) is None:
        return wrong_columns(where, "a column of pictures", PICTURE_KEYS, header)
    if key_of(PROMPT_KEYS, header) is None:
        return wrong_columns(where, "a column of prompts", PROMPT_KEYS, header)
    return None


def _typed(where: str, cells: dict[str, Any]) -> _Row | Fault:
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
