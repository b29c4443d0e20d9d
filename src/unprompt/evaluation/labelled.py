"""Pictures with known prompts: a JSON lines file in the ImageFolder manner."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unprompt.errors import DataError

_EXAMPLE = '{"file_name": "a.png", "prompt": "a cat in a hat"}'


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture and its true prompt; `fields` are all that its record holds."""

    path: str
    prompt: str
    fields: Mapping[str, Any]


def read_labelled(path: Path, limit: int | None = None) -> list[Labelled]:
    """The first `limit` records of the file; `file_name` is relative to it.

    Raises DataError with the line's number where a record lacks `file_name` or `prompt`, or where there is none.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = [(number, line) for number, line in enumerate(file, start=1) if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"expected labelled pictures (JSON lines, UTF-8) at {path}: {reason}") from error
    if not lines:
        raise DataError(f"{path} is empty; expected a line such as {_EXAMPLE}")
    return [_labelled(line, path, number) for number, line in lines[:limit]]


def _labelled(line: str, path: Path, number: int) -> Labelled:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}:{number}: expected a JSON object such as {_EXAMPLE}, found {error}") from error
    if not isinstance(record, dict):
        raise DataError(f"{path}:{number}: expected a JSON object such as {_EXAMPLE}, found {type(record).__name__}")
    for key in ("file_name", "prompt"):
        if not isinstance(record.get(key), str) or not record[key]:
            raise DataError(f"{path}:{number}: expected {key!r} to be a text, found {record.get(key)!r}")
    # Joined as text: the file "-" beside the records must stay "./-", for "-" alone is standard input.
    picture = os.path.join(path.parent, record["file_name"])
    if os.path.isdir(picture):
        raise DataError(f"{path}:{number}: expected file_name to be one picture, found the folder {picture}")
    return Labelled(picture, record["prompt"], record)
