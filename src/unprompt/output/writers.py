"""Records to a stream, each flushed as its picture ends, so that nothing that was computed is lost."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Literal, Protocol, TypeAlias

from unprompt.errors import DataError
from unprompt.output.files import open_continued
from unprompt.output.records import Record
from unprompt.output.tables import CsvWriter, table_columns

Format = Literal["text", "json", "jsonl", "csv", "parquet"]
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


@contextlib.contextmanager
def open_writer(
    format: Format, output: str | None, line: Line, *, resume: bool = False, text: bool = False, embedding: bool = False
) -> Iterator[Writer]:
    """A writer to the file `output`, or to standard output; closed at the end, whatever happens inside.

    With `resume` the file keeps what it holds until something else is written: see `ContinuedFile`. `text` and
    `embedding` are the columns of a table that not every table has.

    Raises OutputBusyError, DataError where the file cannot be written, now or later; MissingExtraError.
    """
    if format == "parquet" and output is not None:
        from unprompt.output.parquet import ParquetWriter

        parquet = ParquetWriter(output, text=text, embedding=embedding)
        try:
            yield parquet
        except BaseException:
            parquet.break_off() if resume else parquet.close()
            raise
        parquet.close()
    elif output is None:
        with contextlib.closing(writer(format, sys.stdout, line, text=text, embedding=embedding)) as opened:
            yield opened
    else:
        with open_continued(output, fresh=not resume) as file:
            opened = writer(format, file, line, text=text, embedding=embedding)
            try:
                yield opened
            except BaseException:
                # An end that is written in the middle of a replay would cut off all that lies behind it.
                if not file.replaying:
                    opened.close()
                raise
            opened.close()


def writer(format: Format, stream: Stream, line: Line, *, text: bool = False, embedding: bool = False) -> Writer:
    """The writer of that format to a stream. `text` and `embedding` are columns of csv.

    Raises DataError for parquet, which is no stream.
    """
    if format == "jsonl":
        return JsonlWriter(stream)
    if format == "json":
        return JsonWriter(stream)
    if format == "csv":
        return CsvWriter(stream, table_columns(text=text, embedding=embedding))
    if format == "parquet":
        raise DataError("expected a file for parquet, found a stream; name one: -o FILE.parquet")
    return TextWriter(stream, line)


def to_json(value: object, *, indent: int | None = None) -> str:
    """JSON that a terminal can show: control and invisible characters escaped, other scripts as they are."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
