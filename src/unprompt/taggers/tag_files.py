"""The lists of tags beside a tagger's weights: a tag for each number that the model gives, in its order.

Danbooru's categories stand in csv files as numbers. All files are untrusted: sizes are bounded, names are plain text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unprompt.checked import shown
from unprompt.errors import ModelError
from unprompt.taggers.families import CATEGORIES, Category

_LIMIT_MB = 64
_MOST_TAGS = 1_000_000
_LONGEST_NAME = 300

_NUMBERED: Mapping[str, Category] = {
    "0": "general",
    "1": "artist",
    "3": "copyright",
    "4": "character",
    "5": "meta",
    "9": "rating",
    "10": "year",
}
"""Danbooru's numbers of categories; 9 and 10 are the taggers' own. Tags of other ones are meta."""

_GENERAL: Category = "general"
_RATING, _YEAR = "rating_", "year_"


@dataclass(frozen=True, slots=True)
class TagList:
    """Names of tags with their categories, in the order of the model's outputs.

    `copyrights` are the series that a character is from, by the character's name, as far as the file says.
    """

    names: tuple[str, ...]
    categories: tuple[Category, ...]
    copyrights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_tags(path: Path) -> TagList:
    """Read a list of tags: .csv with the columns `name` and `category`, .json as of Camie, else a tag a line.

    Raises ModelError if the file is missing, too large or of another form.
    """
    text = _text(path)
    try:
        if path.suffix == ".csv":
            found = _of_csv(text)
        elif path.suffix == ".json":
            found = _of_json(text)
        else:
            names = tuple(line.strip() for line in text.split("\n") if line.strip())
            found = TagList(names, (_GENERAL,) * len(names))
        return _checked(found)
    except (ValueError, RecursionError, csv.Error) as error:
        raise ModelError(f"{path} is no list of tags: {error}; put the model there again") from error


def read_thresholds(path: Path) -> dict[Category, float]:
    """Read the probability from which tags of each category count: .csv with `name` and `threshold`.

    Raises ModelError as `read_tags` does.
    """
    text = _text(path)
    try:
        rows = [(row["name"], float(row["threshold"])) for row in _rows(text, ("name", "threshold"))]
    except (ValueError, csv.Error) as error:
        raise ModelError(f"{path} holds no thresholds: {error}; put the model there again") from error
    if outside := [number for _, number in rows if not 0 <= number <= 1]:
        raise ModelError(f"{path}: expected thresholds from 0 to 1, found {outside[0]}; put the model there again")
    return {category: number for name, number in rows for category in CATEGORIES if category == name}


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LIMIT_MB * 10**6:
            raise ModelError(f"{path} has more than {_LIMIT_MB} MB; expected a list of tags")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}; put the model there again") from error


def _of_csv(text: str) -> TagList:
    names: list[str] = []
    categories: list[Category] = []
    copyrights: dict[str, tuple[str, ...]] = {}
    for row in _rows(text, ("name", "category")):
        names.append(row["name"])
        categories.append(_NUMBERED.get(row["category"], "meta"))
        if series := _series(row.get("ips")):
            copyrights[row["name"]] = series
    return TagList(tuple(names), tuple(categories), copyrights)


def _rows(text: str, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if missing := [name for name in needed if name not in (reader.fieldnames or ())]:
        raise ValueError(f"expected the column {missing[0]}, found {shown(reader.fieldnames or [])}")
    for row in reader:
        if any(row[name] is None for name in needed):
            raise ValueError(f"line {reader.line_num}: expected {len(reader.fieldnames or ())} columns, found fewer")
        yield row


def _series(written: str | None) -> tuple[str, ...]:
    """The series in a cell: a JSON list of names; of anything else, none."""
    try:
        found = json.loads(written or "[]")
    except (ValueError, RecursionError):
        return ()
    names = found if isinstance(found, list) else []
    return tuple(name for name in names if isinstance(name, str) and not _fault(name))


def _of_json(text: str) -> TagList:
    table = json.loads(text)
    for key in ("dataset_info", "tag_mapping"):  # around the same two tables in the second version
        table = table.get(key, table) if isinstance(table, dict) else table
    numbered, categories = (_table(table, key) for key in ("idx_to_tag", "tag_to_category"))
    names = [numbered.get(str(number)) for number in range(len(numbered))]
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise ValueError(f"expected {len(names):,} tags that are numbered from 0, found {shown(name)} as {number}")
    kinds = [_named(categories.get(str(name))) for name in names]
    return TagList(tuple(_plain(str(name), kind) for name, kind in zip(names, kinds, strict=True)), tuple(kinds))


def _table(table: Any, key: str) -> dict[str, Any]:
    found = table.get(key) if isinstance(table, dict) else None
    if not isinstance(found, dict):
        raise ValueError(f"expected a table {key}, found {shown(found)}")
    return found


def _named(category: Any) -> Category:
    return next((known for known in CATEGORIES if known == category), "meta")


def _plain(name: str, category: Category) -> str:
    """The name without its category, which Camie writes before ratings and years."""
    prefix = {"rating": _RATING, "year": _YEAR}.get(category, "")
    return name.removeprefix(prefix) or name


def _checked(tags: TagList) -> TagList:
    if not 0 < len(tags.names) <= _MOST_TAGS:
        raise ValueError(f"expected 1 to {_MOST_TAGS:,} tags, found {len(tags.names):,}")
    for number, name in enumerate(tags.names, start=1):
        if fault := _fault(name):
            raise ValueError(f"tag {number:,} {fault}")
    return tags


def _fault(name: str) -> str:
    if not name.strip():
        return "has no name"
    if len(name) > _LONGEST_NAME:
        return f"has a name of more than {_LONGEST_NAME} characters"
    return "" if name.isprintable() else f"has a name that cannot be shown: {shown(name)}"
