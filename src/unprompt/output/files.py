"""Output files for answers: a later run continues them, and none overwrites a picture."""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from unprompt.display import printable
from unprompt.durable import LockedFile, beside, locked, open_locked, put_in_place, write_errors
from unprompt.errors import DataError, OutputFullError, PictureError
from unprompt.images.formats import ARCHIVE_SUFFIXES, PICTURE_SUFFIXES

if TYPE_CHECKING:
    from typing_extensions import Self

_BUFFER_BYTES = 1 << 16


def check_no_picture(path: str) -> None:
    """Raise DataError if `path` is named like a picture or archive, which `-o *.png`, say, would overwrite."""
    if path.lower().endswith((*PICTURE_SUFFIXES, *ARCHIVE_SUFFIXES)):
        raise DataError(f"expected a file for answers, found {printable(path)}, which would overwrite a picture")


def plain_place(path: str, what: str) -> str:
    """The path of the file to replace: `path` itself or, if it is a link, the file that it points to.

    `what` says in an error what the file is for. Raises DataError for a picture, and for anything but a plain file.
    """
    check_no_picture(path)
    place = os.path.realpath(path)
    if os.path.exists(place) and not os.path.isfile(place):
        raise DataError(f"expected a plain file for {what}, found {printable(path)}; choose another -o")
    return place


def path_below(folder: str, below: str, what: str) -> str:
    """The path under `folder` at `below`, an untrusted path with "/"; never one outside, nor behind a link to outside.

    `what` says in the error what would be put there. Raises PictureError (no-place).
    """
    parts = below.split("/")
    # On Windows a part may contain a drive or a backslash, and then differs from its base name.
    if any(part in ("", ".", "..") or part != os.path.basename(part) or "\0" in part for part in parts):
        raise PictureError(
            "no-place",
            f"expected a relative path to put {what} under the folder, found {printable(below) or 'no name'}",
        )
    path = os.path.join(folder, *parts)
    if len(parts) > 1 and not is_below(os.path.dirname(path), folder):
        raise PictureError(
            "no-place",
            f"expected a folder to put {what} in at {printable(os.path.dirname(path))}, found a link that leads out of "
            f"{printable(folder)}; move the link away, or name its target",
        )
    return path


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder, or in it, links followed."""
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.normcase(path + os.sep).startswith(os.path.normcase(folder.rstrip(os.sep) + os.sep))


def open_continued(path: str, *, fresh: bool = False) -> ContinuedFile:
    """Open the file in which a run continues the answers of an interrupted run; `fresh` empties it first.

    Raises OutputBusyError, or DataError if it is a picture or cannot be opened.
    """
    check_no_picture(path)
    return ContinuedFile(open_locked(path), fresh=fresh)


@contextlib.contextmanager
def completed_file(path: str, *, resume: bool) -> Iterator[ContinuedFile]:
    """Give a file that grows beside its place, as .NAME.part, and replaces `path` when the block ends.

    What Ctrl-C, a kill or a full disk leaves of it stays there; with `resume` it is continued. After another error it
    is deleted. Raises OutputBusyError, DataError.
    """
    part = beside(path, "part")
    with locked(path):
        if os.path.islink(part):
            os.unlink(part)
        file = ContinuedFile(open_locked(part, shown=path), fresh=not resume)
        try:
            yield file
            file.close()
        except BaseException as error:
            with contextlib.suppress(DataError):
                file.flush()
            file.release()
            if not isinstance(error, KeyboardInterrupt | OutputFullError):
                os.unlink(part)
            raise
        with write_errors(path):
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(path, part)
            put_in_place(part, path)


class Releasable(ABC):
    """A locked output. As a context manager it is closed after success, and released after an error."""

    @abstractmethod
    def close(self) -> None:
        """Cut off what this run did not write again, and unlock the file. Raises DataError."""

    @abstractmethod
    def release(self) -> None:
        """Unlock the file, and keep what follows the last answer."""

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
    """A UTF-8 text file in which a resumed run writes all answers again without ever having fewer on disk.

    While the written text equals the old content, the file does not change; at the first difference it is cut off
    there, and the new text follows. `close` cuts off old content that was not written again; `release` keeps it, for
    runs that are interrupted.

    Each flush reaches the operating system, so that a killed process loses nothing. After the first error, which is
    raised as DataError (a broken pipe as BrokenPipeError), nothing more is written, so that the file holds the first
    answers without a gap.
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
        """Whether everything written so far equals the old content, and more of that follows."""
        return self._old_bytes > 0

    def write(self, text: str) -> int:
        """Buffer text until the next `flush`."""
        # Lone surrogates should have been escaped before; if not, they must not end the run.
        self._pending += text.encode("utf-8", "backslashreplace")
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Buffer bytes, and write them to the operating system when they are many. Raises as `flush` does."""
        self._pending += data
        if len(self._pending) >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the buffer to the operating system. Raises DataError, BrokenPipeError."""
        data = bytes(self._pending)
        self._pending.clear()
        if self._broken or not data:
            return
        self._broken = True  # until the write succeeds
        with write_errors(self._file.shown):
            self._file.write(self._different(data) if self.replaying else data)
        self._broken = False

    def holds(self, text: str) -> bool:
        """Whether the old content continues with this text."""
        if not self.replaying:
            return False
        data = text.encode("utf-8", "backslashreplace")
        place = self._file.tell()
        found = self._read(len(data))
        self._file.seek(place)
        return found == data

    def close(self) -> None:
        """Write the buffer, cut off the old content after it, and unlock the file. Raises as `flush` does."""
        try:
            self.flush()
            if self.replaying and not self._broken:
                self._file.truncate()
            self._file.check_not_deleted()
        finally:
            self.release()

    def release(self) -> None:
        """Unlock the file, and keep what follows the last answer."""
        self._file.close()

    def _different(self, data: bytes) -> bytes:
        """The part of `data` after its common beginning with the old content; the file is cut off there."""
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
