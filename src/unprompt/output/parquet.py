"""Writes answers as a parquet file with pyarrow, which needs the extra [parquet]."""

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
"""A row group is kept in memory until it has this many rows or bytes; then it is written."""

_NUMBERS = ("confidence", "confidence_low", "confidence_high", "self_similarity")
_SURROGATE = re.compile("[\ud800-\udfff]")


class ParquetWriter:
    """Writes the columns of csv with types; missing values are null.

    It also has `self_similarity` and, as JSON, `texts`, `candidates` and `votes`; `concepts` is a list of structs.
    With `position`, a record of a part of a run has that as its first column.

    A parquet file can be read only once its footer is written. So it grows beside its final place, as .NAME.part, and
    is put there when it is closed, also after an interruption, with the answers so far. A killed run leaves the old
    file and the part, which the next run overwrites.

    Raises MissingExtraError, OutputBusyError, or DataError if the file cannot be written.
    """

    def __init__(self, path: str, *, text: bool = False, embedding: bool = False, position: bool = False) -> None:
        with needing("parquet", "a parquet file"):
            import pyarrow
            from pyarrow import parquet
        self._path = plain_place(path, "parquet")
        columns = (*table_columns(text=text, embedding=embedding), "self_similarity", "texts", "candidates", "votes")
        columns = (*(("position",) if position else ()), *columns)
        words = pyarrow.string()
        concept = pyarrow.struct([("name", words), ("probability", pyarrow.float64()), ("category", words)])
        types = {
            **dict.fromkeys(_NUMBERS, pyarrow.float64()),
            "position": pyarrow.int64(),
            "concepts": pyarrow.list_(concept),
            "embedding": pyarrow.list_(pyarrow.float32(), EMBEDDING_SIZE),
        }
        self._schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in columns])
        self._new_batch = pyarrow.RecordBatch.from_pydict
        self._rows: list[dict[str, Any]] = []
        self._bytes = self._count = 0
        self._pending = PendingFile(self._path, alone=True)
        self._writer = parquet.ParquetWriter(self._pending.file, self._schema, compression="zstd")

    def write(self, record: Record) -> None:
        """Add one record; its row group is written once it is large enough. Raises DataError if that fails."""
        row = table_row(record) | {"concepts": _concepts(record), "position": record.get("position")}
        cells = {name: _readable(row[name]) for name in self._schema.names}
        self._rows.append(cells)
        self._count += 1
        self._bytes += sum(len(cell) if isinstance(cell, str) else 8 for cell in cells.values())
        self._bytes += 4 * EMBEDDING_SIZE * ("embedding" in cells)
        if len(self._rows) >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        """Write the last rows and the footer, and put the file in its place. Raises DataError."""
        if self._pending.file.closed:  # after an earlier error, which discarded the file
            return
        if self._rows:
            self._write_group()
        with self._dropped_on_error():
            self._writer.close()
            self._pending.replace()

    def break_off(self) -> None:
        """Close it after an interruption, but keep the old file if that has more rows. Raises DataError."""
        if self._rows_in_place() > self._count:
            self._drop()
        else:
            self.close()

    def _rows_in_place(self) -> int:
        from pyarrow import parquet

        with contextlib.suppress(OSError, ValueError):  # there is no file, or it is not parquet
            return int(parquet.read_metadata(self._path).num_rows)
        return 0

    def _write_group(self) -> None:
        columns = {name: [row[name] for row in self._rows] for name in self._schema.names}
        self._rows, self._bytes = [], 0
        with self._dropped_on_error():
            self._writer.write_batch(self._new_batch(columns, schema=self._schema))

    @contextlib.contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        """Discard the file if an error in this block leaves it without a footer."""
        try:
            yield
        except DataError:
            self._drop()
            raise

    def _drop(self) -> None:
        self._writer.is_open = False  # else it would write its footer when it is garbage-collected
        self._pending.discard()


def _concepts(record: Record) -> list[Record] | None:
    found = record.get("concepts")
    return None if found is None else [{key: _readable(value) for key, value in each.items()} for each in found]


def _readable(cell: Any) -> Any:
    """Escape lone surrogates, as in file names that are not UTF-8, as JSON does."""
    # Most texts have none, which encoding shows faster than a pattern.
    try:
        if isinstance(cell, str):
            cell.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(escaped, cell)
    return cell


FORMAT = Format(
    file=lambda path, options: ParquetWriter(path, text=options.text, embedding=options.embedding), resumes=True
)
