"""Files and bytes that hold one picture; what cannot be had is refused before it costs memory."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from unprompt.errors import PictureError
from unprompt.images.formats import HEAD_SIZE, format_of

FILE_LIMIT_MB = 128
"""A file is read whole (its hash and its metadata need every byte), so its size bounds the memory."""

# The name may have become a pipe or a terminal since it was looked at. Windows has neither flag.
_HARMLESS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on disk."""

    path: str

    @property
    def size_mb(self) -> float:
        """The file's size; 0 where there is none, which reading it explains."""
        try:
            return os.path.getsize(self.path) / 1_000_000
        except (OSError, ValueError):
            return 0.0

    def read(self) -> bytes:
        """The file's bytes.

        Raises PictureError: not-found, unreadable, not-a-picture (by the first bytes, before the rest is read),
        too-large, changed (written to meanwhile).
        """
        with opened(self.path) as file:
            before = os.fstat(file.fileno())
            check_size(before.st_size)
            data = picture_bytes(file, before.st_size + 1)  # one byte past the end shows that it grew
            if len(data) != before.st_size or stamp(os.fstat(file.fileno())) != stamp(before):
                raise changed("a file")
            return data


@dataclass(frozen=True, slots=True, eq=False)
class Bytes:
    """A file's bytes, already in memory."""

    data: bytes

    @property
    def size_mb(self) -> float:
        """Nothing that is still to be read."""
        return 0.0

    def read(self) -> bytes:
        """The bytes. Raises PictureError (too-large)."""
        check_size(len(self.data))
        return self.data


@dataclass(frozen=True, slots=True)
class Unavailable:
    """What was named and cannot be had; it fails when it is read, in its place among the others."""

    kind: str
    message: str

    @property
    def size_mb(self) -> float:
        """There is nothing to read."""
        return 0.0

    def read(self) -> bytes:
        """Raises PictureError, always."""
        raise PictureError(self.kind, self.message)


@contextlib.contextmanager
def opened(path: str) -> Iterator[io.BufferedReader]:
    """A regular file, open for reading. What goes wrong, here or inside the block, is a PictureError.

    Raises PictureError: not-found, unreadable.
    """
    with file_errors():
        # Opening a pipe waits and opening a device may do things, so the kind is asked first, and of what was opened.
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
    """`size` bytes from where the file stands, fewer at its end.

    Raises PictureError (not-a-picture) before more than the first bytes are read.
    """
    head = file.read(min(HEAD_SIZE, size)) or b""  # None: a file of the system that has nothing to say yet
    format_of(head)
    file.seek(-len(head), os.SEEK_CUR)
    return file.read(size)


def check_regular(mode: int) -> None:
    """Raises PictureError (unreadable) for folders, pipes, sockets and devices."""
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        found = "a folder, or one that may not be listed; give the picture's own path or check the permissions"
    else:
        found = "a pipe, socket or device; give the picture's own path"
    raise PictureError("unreadable", f"expected a file that can be read, found {found}")


def check_size(size: int, limit_mb: int = FILE_LIMIT_MB) -> None:
    """Raises PictureError (too-large). `size` is in bytes."""
    if size > limit_mb * 1_000_000:
        raise PictureError(
            "too-large",
            f"expected a file of at most {limit_mb} MB, found {size / 1_000_000:,.0f} MB or more; save it smaller",
        )


def stamp(status: os.stat_result) -> tuple[int, int]:
    """What differs after a file was written to: its size and its time, in ns."""
    return status.st_size, status.st_mtime_ns


def changed(what: str) -> PictureError:
    """The error for what was written to while it was read."""
    return PictureError(
        "changed", f"expected {what} at rest, found one that changed while it was read; run again when it is written"
    )
