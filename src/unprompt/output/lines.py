"""Records as lines of text, JSON lines or one JSON array."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Protocol, TypeAlias

from unprompt.output.records import Record

Line: TypeAlias = Callable[[Record], str | None]
"""How "text" shows a record; None for one that it does not show."""


_UNPRINTABLE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
"""What JSON may hold as it is, but a terminal would obey or a reader could not see; a lone surrogate is no text."""


class Stream(Protocol):
    """What writers need of a text stream."""

    def write(self, text: str, /) -> int:
        """Take text."""

    def flush(self) -> None:
        """Hand it on."""


class Writer(Protocol):
    """Takes one record after the other; closing it leaves the stream open."""

    def write(self, record: Record) -> None:
        """Write one record and flush it."""

    def close(self) -> None:
        """Write what belongs behind the last record."""


class TextWriter:
    """What `line` makes of a record, on a line or several; None writes nothing."""

    def __init__(self, stream: Stream, line: Line) -> None:
        self._stream = stream
        self._line = line

    def write(self, record: Record) -> None:
        """Write the record's line, if it has one."""
        if (line := self._line(record)) is not None:
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing follows the last line."""


class JsonlWriter:
    """One JSON object a line."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, record: Record) -> None:
        """Write the record as a line."""
        self._stream.write(to_json(record) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing follows the last line."""


class JsonWriter:
    """One JSON array, however many records there are. It is whole only when it is closed."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._before = "[\n"

    def write(self, record: Record) -> None:
        """Write the record as the array's next element."""
        self._stream.write(self._before + to_json(record, indent=2))
        self._stream.flush()
        self._before = ",\n"

    def close(self) -> None:
        """Close the array."""
        self._stream.write("[]\n" if self._before == "[\n" else "\n]\n")
        self._stream.flush()


def to_json(value: object, *, indent: int | None = None) -> str:
    """JSON that a terminal can show: control and invisible characters escaped, other scripts as they are."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
