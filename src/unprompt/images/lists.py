"""Lists of pictures: names one per line or separated by NULs, JSON lines or CSV; from a file, a pipe or stdin."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from unprompt.display import printable
from unprompt.errors import PictureError
from unprompt.images.files import FILE_LIMIT_MB, Bytes, LocalFile, Unavailable, file_errors
from unprompt.images.formats import HEAD_SIZE, format_of
from unprompt.images.ref import STANDARD_INPUT, ImageRef, relative_name

LINE_LIMIT = 1 << 20
"""Bytes. A name is far shorter; a record written by unprompt, with all of a file's metadata, may come near."""

_CHUNK = 1 << 16
_TEXT_SIZE = 16
"""Bytes that show that a list is no picture; a pipe may take long to bring more."""
_FIRST_LINE = re.compile(rb"[^\n\0]*")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")

Entry: TypeAlias = str | ImageRef
"""A line to read like an argument of the command line, or a picture that needs no further look-up."""


def listed(path: str) -> Iterator[Entry]:
    """Yield the entries of a list file or pipe while it is read.

    A line is a name as on the command line, or a JSON object: its `file_name` is relative to the list's folder (Hugging
    Face's metadata.jsonl), its `source` is a name as on the command line (a record written by unprompt). A .csv has a
    column of either name. Names are separated by NULs if the first 64 KiB contain one. A bad line, or a bad list, is
    yielded as a picture that fails when it is read.
    """
    try:
        with file_errors():
            stream = _open(path)
        with stream:
            lines = _Lines(stream)
            if not lines.head().startswith(_UTF16) and _is_picture(lines.head()):
                yield _failed(path, "unreadable", "expected a list, found a picture; give it without the @")
            else:
                read = _rows if path.lower().endswith(".csv") else _entries
                yield from _or_nothing(read(lines, path), path)
    except PictureError as error:
        yield _failed(path, error.kind, str(error))


def standard_input() -> Iterator[Entry]:
    """Yield the picture, or the entries of the list, on standard input; the first bytes tell which it is."""
    name = STANDARD_INPUT
    stream = getattr(sys.stdin, "buffer", None)
    lines = _Lines(io.BytesIO() if stream is None else stream)
    try:
        head = lines.head()
        if not head:
            expected = "expected a picture or a list of pictures on standard input, found nothing"
            yield _failed(name, "no-pictures", f"{expected}; check the command before the |")
        elif _is_picture(head):
            # One byte past the limit shows that the picture is too large.
            yield ImageRef(name, Bytes(lines.rest(FILE_LIMIT_MB * 1_000_000 + 1)))
        elif _CONTROL.search(_first_line(head)):
            yield ImageRef(name, Bytes(head))  # neither a picture nor a list: decoding it says why
        else:
            yield from _or_nothing(_entries(lines, name), name)
    except PictureError as error:
        yield _failed(name, error.kind, str(error))


def may_be_read_twice(path: str) -> bool:
    """Whether reading the list leaves it intact for the next reader."""
    try:
        # A name such as /dev/stdin may share its file position with standard input.
        return stat.S_ISREG(os.stat(path).st_mode) and not path.startswith(("/dev/stdin", "/dev/fd/"))
    except (OSError, ValueError):
        return True


class _Lines:
    """The lines of a stream as they arrive, or its names separated by NULs."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._buffer = b""
        self._ended = False

    def head(self) -> bytes:
        """The first bytes, enough to recognise a picture and to contain the first line; at most about 64 KiB."""
        while not self._ended and len(self._buffer) < _CHUNK:
            first = _first_line(self._buffer)
            enough = HEAD_SIZE if _CONTROL.search(first) else _TEXT_SIZE
            if len(self._buffer) >= enough and len(first) < len(self._buffer):
                break
            self._fill()
        return self._buffer

    def rest(self, limit: int) -> bytes:
        """Read everything, unsplit, up to `limit` bytes."""
        with file_errors():
            return self._buffer + self._stream.read(max(limit - len(self._buffer), 0))

    @property
    def separator(self) -> bytes:
        """The byte that ends a line."""
        return b"\0" if b"\0" in self.head() else b"\n"

    def __iter__(self) -> Iterator[bytes | None]:
        """Yield each line without its end; None for a line past the limit."""
        separator = self.separator
        self._buffer = self._buffer.removeprefix(_BOM)
        too_long = False
        while self._buffer or not self._ended:
            *lines, self._buffer = self._buffer.split(separator)
            if self._ended and self._buffer:
                lines, self._buffer = [*lines, self._buffer], b""
            for line in lines:
                yield None if too_long or len(line) > LINE_LIMIT else line
                too_long = False
            if len(self._buffer) > LINE_LIMIT:
                self._buffer, too_long = b"", True
            if not self._ended:
                self._fill()
        if too_long:
            yield None

    def _fill(self) -> None:
        with file_errors():
            chunk = self._stream.read1(_CHUNK)
        self._ended = not chunk
        self._buffer += chunk


def _open(path: str) -> io.BufferedReader:
    """Open a list. Raises OSError, and PictureError (unreadable) for a folder or a device."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise PictureError("unreadable", "expected a list file, found a folder; give it without the @")
    stream = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NOCTTY", 0)))  # noqa: SIM115
    if stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty():
        return stream
    stream.close()
    raise PictureError("unreadable", "expected a list file or a pipe, found a device; write the list to a file")


def _is_picture(head: bytes) -> bool:
    try:
        name = format_of(head)
    except PictureError:
        return False
    # A list may begin with BMW.png. In a bitmap these four bytes are reserved, and zero.
    return name != "BMP" or head[6:10] == bytes(4)


def _first_line(head: bytes) -> bytes:
    found = _FIRST_LINE.match(head)
    return found[0].removesuffix(b"\r") if found else b""


def _or_nothing(entries: Iterable[Entry], name: str) -> Iterator[Entry]:
    """Yield the entries, or one that fails if there are none: an empty list must not pass unnoticed."""
    empty = True
    for entry in entries:
        empty = False
        yield entry
    if empty:
        yield _failed(name, "no-pictures", "expected a list with one name per line, found an empty one; check the path")


def _entries(lines: _Lines, name: str) -> Iterator[Entry]:
    if lines.head().startswith(_UTF16):
        yield _failed(name, "unreadable", "expected a list in UTF-8, found UTF-16; save it as UTF-8")
        return
    between_nuls = lines.separator == b"\0"
    for number, line in enumerate(lines, 1):
        if line is None:
            yield _line_too_long(name, number)
        elif between_nuls:
            if line:
                yield os.fsdecode(line)
        elif line.startswith(b"{"):
            yield _from_json(line, name, number)
        elif line := line.removesuffix(b"\r"):
            yield os.fsdecode(line)


def _from_json(line: bytes, name: str, number: int) -> Entry:
    from unprompt.images.metadata.bounded_json import parse_object

    record = parse_object(os.fsdecode(line))
    if found := _named_by(record.get("file_name"), record.get("source"), name):
        return found
    expected = 'expected a JSON object with "file_name" or "source", found none'
    return _failed(f"{name}:{number}", "unreadable", f"{expected}; mend the line, or write ./ before a file's name")


def _named_by(file_name: object, source: object, list_name: str) -> Entry | None:
    """The entry that a record names: a file below the list's folder, or a name as on the command line."""
    if isinstance(file_name, str) and file_name:
        path = os.path.join(os.path.dirname(list_name), file_name)
        return ImageRef(path, LocalFile(path), relative_name(file_name))
    return source if isinstance(source, str) and source else None


def _rows(lines: _Lines, name: str) -> Iterator[Entry]:
    import csv

    too_long: deque[int] = deque()
    reader = csv.reader(_texts(lines, too_long), strict=True)
    header: list[str] | None = None
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            found = printable(str(error))
            expected = f"expected lines of comma-separated values, found: {found}"
            yield _failed(f"{name}:{reader.line_num}", "unreadable", f"{expected}; mend the quotes")
            continue
        while too_long:
            yield _line_too_long(name, too_long.popleft())
        if row is None:
            return
        if header is None:
            header = row
            if "file_name" not in header and "source" not in header:
                expected = "expected a column file_name or source in the first line, found none of these"
                yield _failed(name, "unreadable", f"{expected}; add the header, or give one name per line")
                return
        elif row:
            cells = dict(zip(header, row, strict=False))
            expected = "expected a name in the column file_name or source, found none; mend the line"
            yield _named_by(cells.get("file_name"), cells.get("source"), name) or _failed(
                f"{name}:{reader.line_num}", "unreadable", expected
            )


def _texts(lines: _Lines, too_long: deque[int]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if line is None:
            too_long.append(number)
        yield "\n" if line is None else os.fsdecode(line) + "\n"


def _line_too_long(name: str, number: int) -> ImageRef:
    found = f"expected lines of at most {LINE_LIMIT:,} bytes, found a longer one; give one name per line"
    return _failed(f"{name}:{number}", "unreadable", found)


def _failed(source: str, kind: str, message: str) -> ImageRef:
    return ImageRef(source, Unavailable(kind, message))
