"""Writes records as JSON lines."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from unprompt.output.formats import Format, Stream

if TYPE_CHECKING:
    from unprompt.output.records import Record

_UNPRINTABLE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
"""Characters that JSON allows but a terminal would interpret or not show, and lone surrogates."""


class JsonlWriter:
    """Writes one JSON object per line."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, record: Record) -> None:
        """Write the record as a line."""
        self._stream.write(to_json(record) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to do after the last line."""


def to_json(value: object, *, indent: int | None = None) -> str:
    """Convert to JSON that a terminal can show: control and invisible characters escaped, other scripts unchanged."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return _UNPRINTABLE.sub(escaped, text)


def escaped(found: re.Match[str]) -> str:
    """Escape a matched character as JSON does."""
    return f"\\u{ord(found[0]):04x}"


FORMAT = Format(stream=lambda stream, _options: JsonlWriter(stream))
