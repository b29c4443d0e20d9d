"""Records to a stream, each flushed as its picture ends, so that nothing that was computed is lost."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Literal

from unprompt.errors import DataError
from unprompt.output.files import open_continued
from unprompt.output.lines import JsonlWriter, JsonWriter, Line, Stream, TextWriter, Writer
from unprompt.output.tables import CsvWriter, table_columns

Format = Literal["text", "json", "jsonl", "csv", "parquet"]


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
