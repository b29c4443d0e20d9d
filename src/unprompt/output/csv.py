"""Writes answers as a CSV table."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

from unprompt.output.formats import Format, Stream
from unprompt.output.jsonl import escaped
from unprompt.output.tables import json_cell, table_columns, table_row

if TYPE_CHECKING:
    from unprompt.output.records import Record

_NO_CELL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that are escaped in cells: some readers stop at them, and a terminal would interpret them."""

_MARK = "\ufeff"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet takes for a formula, in full width too, as some Excels do."""


class CsvWriter:
    """Writes a header and one row per record, quoted by RFC 4180; lines end with a line feed alone.

    Line ends within a cell become line feeds; other control characters and lone surrogates are escaped as in JSON. A
    cell that begins with = + - @ is not changed, although a spreadsheet may take it for a formula: prompts do begin so,
    and a file for programs must hold the exact answer.

    With `excel` the file begins with a byte order mark, by which Excel knows UTF-8, and an apostrophe is put before
    texts that a spreadsheet would take for formulas, which it then shows as they are. Numbers stay numbers.
    Source: https://owasp.org/www-community/attacks/CSV_Injection.
    """

    def __init__(self, stream: Stream, columns: tuple[str, ...], *, excel: bool = False) -> None:
        self._stream, self._columns = stream, columns
        self._cell = _cell_of_excel if excel else _cell
        self._rows = csv.writer(stream, lineterminator="\n")
        if excel:
            stream.write(_MARK)
        self._rows.writerow(columns)
        stream.flush()

    def write(self, record: Record) -> None:
        """Write the record's row."""
        row = table_row(record)
        self._rows.writerow([self._cell(row[column]) for column in self._columns])
        self._stream.flush()

    def close(self) -> None:
        """Nothing to do after the last row."""


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return _NO_CELL.sub(escaped, value.replace("\r\n", "\n"))
    return json_cell(value) if isinstance(value, list) else value


def _cell_of_excel(value: Any) -> Any:
    cell = _cell(value)
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell


FORMAT = Format(
    stream=lambda stream, options: CsvWriter(
        stream, table_columns(text=options.text, embedding=options.embedding), excel=options.excel
    )
)
