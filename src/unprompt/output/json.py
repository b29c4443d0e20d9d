"""Writes records as one JSON array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unprompt.output.formats import Format, Stream
from unprompt.output.jsonl import to_json

if TYPE_CHECKING:
    from unprompt.output.records import Record


class JsonWriter:
    """Writes one JSON array, which is valid only after `close`."""

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


FORMAT = Format(stream=lambda stream, _options: JsonWriter(stream))
