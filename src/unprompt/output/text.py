"""Records as people read them in a terminal. Nothing that a file says reaches it unescaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unprompt.display import printable
from unprompt.output.formats import Format, Line, Stream

if TYPE_CHECKING:
    from unprompt.output.records import Record


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


def prompt_line(record: Record, *, named: bool) -> str | None:
    """The phrased text, or else the prompt; `named` puts the source and a tab in front. None for a failure."""
    if "error" in record:
        return None
    text = printable(record["text"] if "text" in record else record["prompt"])
    return f"{printable(record['source'])}\t{text}" if named else text


def metadata_lines(record: Record) -> str | None:
    """The source, and below it what the file says, a name and a value a line. None for a failure."""
    if "error" in record:
        return None
    source = printable(record["source"])
    if record["tool"] is None:
        return f"{source}\n  no prompt is written in this file"
    named = {"tool": record["tool"], "prompt": record["prompt"], "negative prompt": record.get("negative_prompt")}
    rows = [*named.items(), *record.get("settings", {}).items()]
    rows = [(printable(name), printable(str(value))) for name, value in rows if value is not None]
    width = max(len(name) for name, _ in rows)
    return "\n".join([source, *(f"  {name:<{width}}  {value}" for name, value in rows)])


def score_lines(record: Record) -> str:
    """A cosine, a tab and a prompt a line."""
    return "\n".join(f"{score['similarity']:.4f}\t{printable(score['text'])}" for score in record["scores"])


FORMAT = Format(stream=lambda stream, options: TextWriter(stream, options.line))
