"""The lines of an untrusted text file: of bounded length, decoded as UTF-8, each with its position."""

from __future__ import annotations

from collections.abc import Iterator

from unprompt.datasets.records import Fault
from unprompt.display import printable
from unprompt.errors import DataError, PictureError
from unprompt.images.files import opened
from unprompt.images.lists import LINE_LIMIT

_BOM = b"\xef\xbb\xbf"


def placed_lines(path: str) -> Iterator[tuple[str, str | Fault]]:
    """The lines of a UTF-8 file, including their ends, with their positions. Raises DataError if it cannot be read."""
    shown_path = printable(path)
    try:
        with opened(path) as file:
            number = 0
            while line := file.readline(LINE_LIMIT + 1):
                number += 1
                where = f"{shown_path}:{number}"
                yield where, _text(line.removeprefix(_BOM) if number == 1 else line, where)
                while len(line) > LINE_LIMIT and not line.endswith(b"\n"):
                    line = file.readline(LINE_LIMIT + 1)
    except PictureError as error:
        raise DataError(f"expected a data set at {shown_path}: {error}") from error


def _text(line: bytes, where: str) -> str | Fault:
    if len(line) > LINE_LIMIT:
        return Fault("broken-record", where, f"expected a line of at most {LINE_LIMIT:,} bytes, found a longer one")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Fault("broken-record", where, f"expected a line of UTF-8, found {error.reason}; save the file as UTF-8")
