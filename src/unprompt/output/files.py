"""Files that answers are written to: continued where a killed run left them, and never a picture."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING

from unprompt.display import printable
from unprompt.durable import LockedFile, open_locked, write_errors
from unprompt.errors import DataError
from unprompt.images.formats import ARCHIVE_SUFFIXES, PICTURE_SUFFIXES

if TYPE_CHECKING:
    from typing_extensions import Self


def check_no_picture(path: str) -> None:
    """Raises DataError where `path` is named like what is read: `-o *.png` would overwrite a picture, or an archive."""
    if path.lower().endswith((*PICTURE_SUFFIXES, *ARCHIVE_SUFFIXES)):
        raise DataError(f"expected a file for answers, found {printable(path)}, which would overwrite a picture")


def plain_place(path: str, what: str) -> str:
    """The path of the file that a whole new one replaces: a link is kept, and the file that it points to is replaced.

    `what` says what the file is for. Raises DataError for a picture, and for anything but a plain file.
    """
    check_no_picture(path)
    place = os.path.realpath(path)
    if os.path.exists(place) and not os.path.isfile(place):
        raise DataError(f"expected a plain file for {what}, found {printable(path)}; choose another -o")
    return place


def open_continued(path: str, *, fresh: bool = False) -> ContinuedFile:
    """The file that a run writes its answers to, after the run that was broken off. `fresh` forgets what it holds.

    Raises OutputBusyError; DataError where it is a picture or cannot be opened.
    """
    check_no_picture(path)
    return ContinuedFile(open_locked(path), fresh=fresh)


class Releasable(ABC):
    """As a context it is closed whole after success; after an error it is let go of with all that lies there."""

    @abstractmethod
    def close(self) -> None:
        """Cut off what nobody wrote again, and let others in. Raises DataError."""

    @abstractmethod
    def release(self) -> None:
        """Let others in, and leave what lies behind the last answer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.release()


class ContinuedFile(Releasable):
    """A text file, UTF-8, in which a resumed run writes all answers again without ever having fewer on disk.

    While what is written equals what lies there, nothing changes; at the first difference the file is cut off, and
    written on. `close` cuts off what nobody wrote again; `release` leaves it, for runs that break off. As a context it
    closes after success and releases after an error.

    Each flush reaches the operating system, so that a killed process loses nothing. After the first error, which is
    raised as DataError (a broken pipe as BrokenPipeError), nothing more is written: the file stays a beginning of the
    answers.
    """

    def __init__(self, file: LockedFile, *, fresh: bool) -> None:
        self._file = file
        self._pending = bytearray()
        self._broken = False
        self._has_place = file.readable()  # a pipe or a device has none
        if fresh and self._has_place:
            file.truncate(0)
        self._old_bytes = os.fstat(file.fileno()).st_size if self._has_place else 0

    @property
    def replaying(self) -> bool:
        """Whether all that was written so far lay there already, and more lies behind it."""
        return self._old_bytes > 0

    def write(self, text: str) -> int:
        """Take text, to be written by the next `flush`."""
        # What is no text has been escaped before; if not, it must not end the run.
        self._pending += text.encode("utf-8", "backslashreplace")
        return len(text)

    def flush(self) -> None:
        """Hand everything to the operating system. Raises DataError, BrokenPipeError."""
        data = bytes(self._pending)
        self._pending.clear()
        if self._broken or not data:
            return
        self._broken = True  # unless it comes through
        with write_errors(self._file.shown):
            self._file.write(self._different(data) if self.replaying else data)
        self._broken = False

    def holds(self, text: str) -> bool:
        """Whether what lies there goes on with this text."""
        if not self.replaying:
            return False
        data = text.encode("utf-8", "backslashreplace")
        place = self._file.tell()
        found = self._read(len(data))
        self._file.seek(place)
        return found == data

    def close(self) -> None:
        """Write what was taken, cut off what lies behind it, and let others in. Raises as `flush` does."""
        try:
            self.flush()
            if self.replaying and not self._broken:
                self._file.truncate()
            self._file.check_not_deleted()
        finally:
            self.release()

    def release(self) -> None:
        """Let others in, and leave what lies behind the last answer."""
        self._file.close()

    def _different(self, data: bytes) -> bytes:
        """What is left of `data` after all that lies there already; the file is cut off where they part."""
        place = self._file.tell()
        found = self._read(len(data))
        if found == data:
            if self._file.tell() >= self._old_bytes:
                self._old_bytes = 0
            return b""
        equal = next((n for n, (old, new) in enumerate(zip(found, data, strict=False)) if old != new), len(found))
        self._file.seek(place + equal)
        self._file.truncate()
        self._old_bytes = 0
        return data[equal:]

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (more := self._file.read(size - len(found))):
            found += more
        return found
