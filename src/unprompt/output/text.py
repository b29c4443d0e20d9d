"""Writes records as text for a terminal, with all text from files escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unprompt.display import printable
from unprompt.output.formats import Format, Line, Stream

if TYPE_CHECKING:
    from unprompt.output.records import Record


class TextWriter:
    """Writes what `line` returns for a record, one line or several; nothing for None."""

    def __init__(self, stream: Stream, line: Line) -> None:
        self._stream = stream
        self._line = line

    def write(self, record: Record) -> None:
        """Write the record's line, if it has one."""
        if (line := self._line(record)) is not None:
            self._stream.write(line + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing to do after the last line."""


def prompt_line(record: Record, *, named: bool) -> str | None:
    """Show the phrased text or else the prompt, after the source and a tab if `named`. None for a failure."""
    if "error" in record:
        return None
    text = printable(record["text"] if "text" in record else record["prompt"])
    return f"{printable(record['source'])}\t{text}" if named else text


def score_lines(record: Record) -> str:
    """Show scores, one per line: cosine, tab, prompt."""
    return "\n".join(f"{score['similarity']:.4f}\t{printable(score['text'])}" for score in record["scores"])


FORMAT = Format(stream=lambda stream, options: TextWriter(stream, options.line))
