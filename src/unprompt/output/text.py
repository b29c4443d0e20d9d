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


def prompt_line(record: Record, *, named: bool, sure: bool = False) -> str | None:
    """Show the phrased text or else the prompt, after the source and a tab if `named`. None for a failure.

    `sure` adds the confidence, if there is one: after a tab if `named`, else in a line of its own.
    """
    if "error" in record:
        return None
    parts = [record["text"] if "text" in record else record["prompt"]]
    if sure and (confidence := confidence_text(record)) is not None:
        parts.append(confidence)
    if named:
        return "\t".join(map(printable, [record["source"], *parts]))
    return "\n".join(map(printable, parts))


def confidence_text(record: Record) -> str | None:
    """Show a confidence as "confidence 0.52 (0.35 to 0.66)"; None if the record has none."""
    found = record.get("confidence")
    return found and f"confidence {found['estimate']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def score_lines(record: Record) -> str:
    """Show scores, one per line: cosine, tab, prompt."""
    return "\n".join(f"{score['similarity']:.4f}\t{printable(score['text'])}" for score in record["scores"])


FORMAT = Format(stream=lambda stream, options: TextWriter(stream, options.line))
