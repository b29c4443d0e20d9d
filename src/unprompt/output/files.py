"""Files that answers are written to: locked, continued where a killed run left them, replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.images.formats import PICTURE_SUFFIXES
from unprompt.images.ref import ARCHIVE_SUFFIXES

if TYPE_CHECKING:
    from typing_extensions import Self

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_NEW_FILE_MODE = 0o666  # less the user's umask, as open() makes files
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would otherwise change line ends


class OutputBusyError(DataError):
    """Another process is writing the same file."""

    def __init__(self, path: str) -> None:
        super().__init__(f"another unprompt is writing {printable(path)}; wait for it or choose another -o")


class OutputFullError(DataError):
    """The disk, the quota or the largest size of a file is exhausted: nothing more can be written there."""


@contextlib.contextmanager
def write_errors(path: str) -> Iterator[None]:
    """An OSError while `path` is opened or written becomes a DataError that says what to do; not a broken pipe."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _cannot_write(path, error) from error


def replace_atomically(path: str, data: bytes) -> None:
    """Put `data` in the place of what `path` holds: readers see the old or the new, never a part.

    The mode of an existing file is kept. A symbolic link is itself replaced, never followed. Raises DataError, and
    leaves the old file and nothing else.
    """
    with write_errors(path):
        file, temporary = _open_temporary(path)
        with file:
            try:
                file.truncate(0)
                write_all(file, data)
                move_over(file, temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise


def _open_temporary(path: str) -> tuple[io.FileIO, str]:
    """An open, locked file beside `path`, and its own path.

    It has one name for each `path`, so that what a kill leaves is taken up by the next run; only where another process
    is writing there at this moment is it a name of this process's own.
    """
    folder, name = os.path.split(path)
    # A digest never is too long.
    stem = os.path.join(folder, f".unprompt-{hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()}")
    shared, own = f"{stem}.tmp", f"{stem}-{os.getpid()}.tmp"
    if os.path.lexists(shared) and not stat.S_ISREG(os.lstat(shared).st_mode):
        os.unlink(shared)  # a link would be followed, and a pipe would wait
    try:
        return open_locked(shared), shared
    except OutputBusyError:
        return io.FileIO(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, _NEW_FILE_MODE), "w"), own


def move_over(file: io.FileIO, temporary: str, path: str) -> None:
    """Put a finished, still open file in the place of `path`, with the mode of what lay there, and close it.

    Raises OSError.
    """
    if (mode := _mode(path)) is not None:
        os.chmod(temporary, mode)
        # What goes may be somebody's only copy, so the new one must survive a power cut before the old one is gone.
        # Where nothing goes, nothing is lost that cannot be computed again, and waiting for the disk is saved.
        os.fsync(file.fileno())
    if sys.platform == "win32":
        file.close()  # an open file cannot be renamed there
    os.replace(temporary, path)
    file.close()  # the lock, if it has one, goes only after the name


def check_no_picture(path: str) -> None:
    """Raises DataError where `path` is named like what is read: `-o *.png` would overwrite a picture, or an archive."""
    if path.lower().endswith((*PICTURE_SUFFIXES, *ARCHIVE_SUFFIXES)):
        raise DataError(f"expected a file for answers, found {printable(path)}, which would overwrite a picture")


def open_locked(path: str) -> io.FileIO:
    """A file to read and write, unbuffered, made where it is missing; what it holds stays.

    No other process can open it in this way until it is closed. A pipe or a device is opened for writing alone and
    without a lock. Raises OutputBusyError; DataError where it is a picture or cannot be opened.
    """
    check_no_picture(path)
    with write_errors(path):
        if os.path.exists(path) and not os.path.isfile(path):
            return io.FileIO(path, "w")
        file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, _NEW_FILE_MODE), "r+")
    try:
        lock_exclusively(file.fileno(), path)
        # Whoever had the lock until now may have moved the file away, and we would write to that one.
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            raise OutputBusyError(path)
    except FileNotFoundError as error:
        file.close()
        raise OutputBusyError(path) from error
    except BaseException:
        file.close()
        raise
    return file


def lock_exclusively(descriptor: int, path: str) -> None:
    """Keep other processes out of an open file until it is closed, or this process ends, however it ends.

    Raises OutputBusyError where another has it. A file system without locks goes without.
    """
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return
        if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            raise OutputBusyError(path) from error
        raise _cannot_write(path, error) from error


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        import msvcrt

        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, 1 << 62, os.SEEK_SET)  # locked bytes cannot be read by others, so far behind the end
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_all(file: io.FileIO, data: bytes) -> None:
    """Write every byte; the system may take them in parts. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def check_not_deleted(file: io.FileIO, path: str) -> None:
    """Raises DataError where an open file has no name any more: what was written to it is lost when it is closed."""
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
        raise DataError(f"expected {printable(path)}, found that it was deleted while it was written; run it again")


def open_continued(path: str, *, fresh: bool = False) -> ContinuedFile:
    """The file that a run writes its answers to, after the run that was broken off. `fresh` forgets what it holds.

    Raises as `open_locked` does.
    """
    return ContinuedFile(open_locked(path), path, fresh=fresh)


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

    def __init__(self, file: io.FileIO, path: str, *, fresh: bool) -> None:
        self._file, self._path = file, path
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
        with write_errors(self._path):
            write_all(self._file, self._different(data) if self.replaying else data)
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
            check_not_deleted(self._file, self._path)
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


def _mode(path: str) -> int | None:
    """The permissions of a file; None where none lies there."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None


def _cannot_write(path: str, error: OSError) -> DataError:
    reason = f"cannot write {printable(path)}: {error.strerror or type(error).__name__}"
    if error.errno in _FULL:
        return OutputFullError(f"{reason}; free some space and run again with --resume")
    if error.errno == errno.ENOENT:
        folder = os.path.dirname(path) or "."
        return DataError(f"{reason}; expected an existing folder, found no {printable(folder)}; make it first")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DataError(f"{reason}; check the permissions, or write somewhere else")
    return DataError(f"{reason}; write somewhere else")
