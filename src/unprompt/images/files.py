"""Files and bytes that hold one picture; what cannot be read is refused before it costs memory."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, SupportsIndex, overload

from unprompt.display import printable
from unprompt.errors import PictureError
from unprompt.images.formats import HEAD_SIZE, format_of

FILE_LIMIT_MB = 256
"""Limit on a file that is read whole, to be decoded: of a PNG of 8192 x 8192 even noise takes 202 MB."""

# The name may have become a pipe or a terminal since it was checked. Windows has neither flag.
_HARMLESS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


_SEARCHED_BYTES = 2**20
"""How much of a file is searched at a time."""

_HANDED_BYTES = 2**20
"""How much of an open file is read at a time."""


class FileView:
    """`size` bytes of an open file, read where they are looked at. Slices, `find` and `rfind` are those of bytes."""

    def __init__(self, file: io.BufferedReader, size: int, first: int = 0) -> None:
        self._file = file
        self._size = size
        self._first = first

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> int: ...

    @overload
    def __getitem__(self, place: slice, /) -> bytes: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> int | bytes:
        if not isinstance(place, slice):
            at = place.__index__()
            return self._read(at if at >= 0 else at + self._size, 1)[0]
        start, end, step = place.indices(self._size)
        return self._read(start, end - start)[::step] if start < end else b""

    def find(self, wanted: bytes, start: int = 0, end: int | None = None, /) -> int:
        """The first place of `wanted` between two positions; -1 if there is none."""
        start, end, _ = slice(start, end).indices(self._size)
        for at in range(start, end, _SEARCHED_BYTES):
            found = self[at : min(end, at + _SEARCHED_BYTES + len(wanted) - 1)].find(wanted)
            if found >= 0:
                return at + found
        return -1

    def rfind(self, wanted: bytes, start: int = 0, end: int | None = None, /) -> int:
        """The last place of `wanted` between two positions; -1 if there is none."""
        start, end, _ = slice(start, end).indices(self._size)
        for at in reversed(range(start, end, _SEARCHED_BYTES)):
            found = self[at : min(end, at + _SEARCHED_BYTES + len(wanted) - 1)].rfind(wanted)
            if found >= 0:
                return at + found
        return -1

    def _read(self, start: int, count: int) -> bytes:
        self._file.seek(self._first + start)
        return self._file.read(count) or b""


class OpenFile(Protocol):
    """A file opened in binary mode, or anything else that is read as one."""

    def read(self, size: int, /) -> bytes:
        """Read up to so many bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk."""

    path: str

    @property
    def size_mb(self) -> float:
        """The file's size; 0 if there is no such file, and reading it then says why."""
        try:
            return os.path.getsize(self.path) / 1_000_000
        except (OSError, ValueError):
            return 0.0

    def read(self) -> bytes:
        """Read the file's bytes.

        Raises PictureError: not-found, unreadable, not-a-picture (judged by the first bytes, before the rest is read),
        too-large, changed (written to while it was read).
        """
        with opened(self.path) as file:
            before = os.fstat(file.fileno())
            check_size(before.st_size)
            data = picture_bytes(file, before.st_size + 1)  # one byte past the end shows that it grew
            if len(data) != before.st_size or stamp(os.fstat(file.fileno())) != stamp(before):
                raise changed("a file")
            return data

    @contextlib.contextmanager
    def view(self) -> Iterator[FileView]:
        """Open the file to be read where it is looked at; it may be larger than one that is read whole.

        Raises PictureError: not-found, unreadable, not-a-picture, changed.
        """
        with opened(self.path) as file:
            before = os.fstat(file.fileno())
            format_of(file.read(HEAD_SIZE))
            yield FileView(file, before.st_size)
            if stamp(os.fstat(file.fileno())) != stamp(before):
                raise changed("a file")


@dataclass(frozen=True, slots=True, eq=False)
class Bytes:
    """A file's bytes, already in memory."""

    data: bytes

    @property
    def size_mb(self) -> float:
        """0: nothing is left to read."""
        return 0.0

    def read(self) -> bytes:
        """Return the bytes. Raises PictureError (too-large)."""
        check_size(len(self.data))
        return self.data

    @contextlib.contextmanager
    def view(self) -> Iterator[bytes]:
        """The bytes, however many they are. Raises PictureError (not-a-picture)."""
        format_of(self.data[:HEAD_SIZE])
        yield self.data


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A picture that was named but cannot be read; it fails at its place among the others."""

    kind: str
    message: str

    @property
    def size_mb(self) -> float:
        """0: there is nothing to read."""
        return 0.0

    def read(self) -> bytes:
        """Always raise PictureError."""
        raise PictureError(self.kind, self.message)


def handed_over(file: OpenFile) -> Bytes | Unavailable:
    """What an open file holds, from its start where it can go back there, up to one byte past the limit.

    It is read at once, by the thread that iterates: two members of an archive cannot be read at the same time, and
    what `with` closes cannot be read later. Raises TypeError if it gives anything but bytes.
    """
    parts: list[bytes] = []
    part: object = b""
    left = FILE_LIMIT_MB * 1_000_000 + 1
    try:
        with contextlib.suppress(AttributeError, OSError):  # a stream cannot go back
            file.seek(0)  # type: ignore[attr-defined]
        while left > 0:
            part = file.read(min(left, _HANDED_BYTES))
            if not part or not isinstance(part, bytes):
                break
            parts.append(part)
            left -= len(part)
    except Exception as error:  # the caller's object may raise anything
        reason = printable(str(error)) or type(error).__name__
        return Unavailable("unreadable", f"expected an open file that can be read, found: {reason}; open it again")
    if not isinstance(part, bytes):
        raise _no_bytes(part)
    return Bytes(b"".join(parts))


def _no_bytes(part: object) -> TypeError:
    if inspect.iscoroutine(part):
        part.close()  # nobody will await it
    return TypeError(
        f"expected an open file that gives bytes, found one that gives {type(part).__name__}; open it in binary mode "
        '("rb"), give the file inside an upload (upload.file), or a list of paths as "@paths.txt"'
    )


@contextlib.contextmanager
def opened(path: str) -> Iterator[io.BufferedReader]:
    """Open a regular file for reading; errors of the system, also those inside the block, become a PictureError.

    Raises PictureError: not-found, unreadable.
    """
    with file_errors():
        # Opening a pipe blocks and opening a device may have effects, so the kind is checked both before and after.
        check_regular(os.stat(path).st_mode)
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _HARMLESS)) as file:
            check_regular(os.fstat(file.fileno()).st_mode)
            yield file


@contextlib.contextmanager
def file_errors() -> Iterator[None]:
    """Turn what the system raises into a PictureError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the path
        raise PictureError("not-found", "expected a file, found none by this name; check the path") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PictureError(
            "unreadable", f"expected a file that can be read, found: {reason}; check its permissions"
        ) from error


def picture_bytes(file: io.BufferedReader, size: int) -> bytes:
    """Read `size` bytes from the current position, or fewer at the end of the file.

    Raises PictureError (not-a-picture) after the first bytes, before the rest is read.
    """
    head = file.read(min(HEAD_SIZE, size)) or b""  # None: a system file without data yet
    format_of(head)
    file.seek(-len(head), os.SEEK_CUR)
    return file.read(size)


def check_regular(mode: int) -> None:
    """Raise PictureError (unreadable) for folders, pipes, sockets and devices."""
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        found = "a folder, or one that may not be listed; give the picture's own path or check the permissions"
    else:
        found = "a pipe, socket or device; give the picture's own path"
    raise PictureError("unreadable", f"expected a file that can be read, found {found}")


def check_size(size: int, limit_mb: int = FILE_LIMIT_MB) -> None:
    """Raise PictureError (too-large) if `size`, in bytes, is past the limit."""
    if size > limit_mb * 1_000_000:
        raise PictureError(
            "too-large",
            f"expected a file of at most {limit_mb} MB, found {size / 1_000_000:,.0f} MB or more; save it smaller",
        )


def stamp(status: os.stat_result) -> tuple[int, int]:
    """A file's size and modification time in ns, which show whether it was written to."""
    return status.st_size, status.st_mtime_ns


def changed(what: str) -> PictureError:
    """The error for a file that was written to while it was read."""
    return PictureError(
        "changed", f"expected {what} at rest, found one that changed while it was read; run again when it is written"
    )
