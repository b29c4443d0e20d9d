"""Answers as a parquet file, by pyarrow: the extra [parquet]."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from unprompt.durable import PendingFile
from unprompt.errors import DataError, needing
from unprompt.output.files import plain_place
from unprompt.output.formats import Format
from unprompt.output.jsonl import escaped
from unprompt.output.records import Record
from unprompt.output.tables import table_columns, table_row
from unprompt.prediction import EMBEDDING_SIZE

GROUP_ROWS = 1000
GROUP_BYTES = 8_000_000
"""A row group is written when it has so many rows or so much in them; until then it is in memory."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class ParquetWriter:
    """The columns of csv, typed, and `candidates` and `votes` as JSON; a number or text that is missing is null.

    A parquet file can be read only when it has its end. So it grows beside its place, as .NAME.part, and takes that
    place when it is closed: after an interruption too, with the answers until then. A killed run leaves the part, which
    the next one overwrites, and what lay in the place before.

    Raises MissingExtraError; OutputBusyError, DataError where the file cannot be written.
    """

    def __init__(self, path: str, *, text: bool = False, embedding: bool = False) -> None:
        with needing("parquet", "a parquet file"):
            import pyarrow
            from pyarrow import parquet
        self._path = plain_place(path, "parquet")
        columns = (*table_columns(text=text, embedding=embedding), "candidates", "votes")
        types = {"similarity": pyarrow.float64(), "embedding": pyarrow.list_(pyarrow.float32(), EMBEDDING_SIZE)}
        self._schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in columns])
        self._new_batch = pyarrow.RecordBatch.from_pydict
        self._rows: list[dict[str, Any]] = []
        self._bytes = self._count = 0
        self._pending = PendingFile(self._path, alone=True)
        self._writer = parquet.ParquetWriter(self._pending.file, self._schema, compression="zstd")

    def write(self, record: Record) -> None:
        """Take one record; its row group is written when it is large enough. Raises DataError where it cannot be."""
        row = table_row(record)
        cells = {name: _readable(row[name]) for name in self._schema.names}
        self._rows.append(cells)
        self._count += 1
        self._bytes += sum(len(cell) if isinstance(cell, str) else 8 for cell in cells.values())
        self._bytes += 4 * EMBEDDING_SIZE * ("embedding" in cells)
        if len(self._rows) >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        """Write what is left and the end of the file, and put it in its place. Raises DataError."""
        if self._pending.file.closed:  # an error was raised before, and there is nothing to put anywhere
            return
        if self._rows:
            self._write_group()
        with self._dropped_on_error():
            self._writer.close()
            self._pending.replace()

    def break_off(self) -> None:
        """Close it after an interruption; what lies in its place stays there if it has more rows. Raises DataError."""
        if self._rows_in_place() > self._count:
            self._drop()
        else:
            self.close()

    def _rows_in_place(self) -> int:
        from pyarrow import parquet

        with contextlib.suppress(OSError, ValueError):  # nothing lies there, or no parquet file
            return int(parquet.read_metadata(self._path).num_rows)
        return 0

    def _write_group(self) -> None:
        columns = {name: [row[name] for row in self._rows] for name in self._schema.names}
        self._rows, self._bytes = [], 0
        with self._dropped_on_error():
            self._writer.write_batch(self._new_batch(columns, schema=self._schema))

    @contextlib.contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        """Gives the part up where an error leaves it without an end."""
        try:
            yield
        except DataError:
            self._drop()
            raise

    def _drop(self) -> None:
        self._writer.is_open = False  # it would write its end when it is collected
        self._pending.discard()


def _readable(cell: Any) -> Any:
    """The cell with lone surrogates, as in file names that are no UTF-8, escaped as JSON escapes them."""
    # Most texts have none, and encoding finds that out faster than a pattern.
    try:
        if isinstance(cell, str):
            cell.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(escaped, cell)
    return cell


FORMAT = Format(
    file=lambda path, options: ParquetWriter(path, text=options.text, embedding=options.embedding), resumes=True
)
