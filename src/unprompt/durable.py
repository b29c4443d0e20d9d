"""Files and folders that are replaced as a whole, and locks that end with the process that holds them.

For all commands, a file or folder that unprompt replaces as a whole is either the old one or the new one after a kill
or a power cut, never a part. A file that is written answer by answer keeps every answer after a kill; a power cut may
lose its last seconds and leave a new sidecar empty.

So everything is on the disk before it gets its name. With `sync=False`, only what replaces something waits for the
disk: the old file may be somebody's only copy, but a new one can be computed again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from unprompt.display import printable
from unprompt.errors import DataError, OutputBusyError, OutputFullError

FilePath: TypeAlias = "str | os.PathLike[str]"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_LOCKED = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})
_BUFFER_BYTES = 1 << 16
_LONGEST_NAME_BYTES = 120
"""Longer names are hashed in the names of temporary files: some file systems allow 143 bytes only."""


@contextlib.contextmanager
def write_errors(path: FilePath, then: str | None = None) -> Iterator[None]:
    """Turn an OSError, but not a broken pipe, into a DataError that says that `path` cannot be written and what to do.

    `then` is what to do; by default it follows from the reason. Raises OutputFullError if no space is left.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        kind = OutputFullError if error.errno in _FULL else DataError
        reason = error.strerror or str(error) or type(error).__name__
        path = os.fspath(path)
        raise kind(f"cannot write {printable(path)}: {reason}; {then or _advice(path, error)}") from error


def _advice(path: str, error: OSError) -> str:
    if error.errno in _FULL:
        return "free some space and run it again"
    if "://" in path:
        return "expected a path on this machine, found an address; only answers and metadata are written to stores"
    if error.errno == errno.ENOENT:
        folder = os.path.dirname(path) or "."
        return f"expected an existing folder, found no {printable(folder)}; make it first"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "check the permissions, or write somewhere else"
    return "write somewhere else"


class LockedFile(io.FileIO):
    """An unbuffered file whose `write` writes every byte, and whose errors say what to do, as `write_errors` does.

    `shown` is the path that messages name.
    """

    def __init__(self, path: str, mode: str, shown: str) -> None:
        self.shown = shown
        super().__init__(path, mode, opener=_open_or_make)

    def write(self, data: Any, /) -> int:
        """Write all bytes; the system may take them in parts."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        with write_errors(self.shown):
            while rest:
                rest = rest[super().write(rest) :]
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Cut the file off at `size`; by default at its current position."""
        with write_errors(self.shown):
            return super().truncate(size)

    def check_not_deleted(self) -> None:
        """Raise DataError if the file has been deleted: what was written to it is lost when it is closed."""
        status = os.fstat(self.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
            raise DataError(
                f"expected {printable(self.shown)}, found that it was deleted while it was written; run it again"
            )


def open_locked(path: FilePath, shown: FilePath | None = None) -> LockedFile:
    """Open a file, or create it, so that no other process can open it in this way until it is closed.

    Its content is kept. A pipe or a device is opened for writing only, and without a lock, as are files on file systems
    that have no locks. Messages name the path `shown`. Raises OutputBusyError, or DataError if it cannot be opened.
    """
    path, shown = os.fspath(path), os.fspath(shown or path)
    with write_errors(shown):
        if os.path.exists(path) and not os.path.isfile(path):
            return LockedFile(path, "w", shown)
        return _open_locked(path, shown)


def _open_locked(path: str, shown: str) -> LockedFile:
    file = LockedFile(path, "r+", shown)
    try:
        _lock(file.fileno(), shown)
        # The process that held the lock until now may have renamed the file, which is then not ours to write to.
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            raise OutputBusyError(shown)
    except FileNotFoundError as error:
        file.close()
        raise OutputBusyError(shown) from error
    except BaseException:
        file.close()
        raise
    return file


def _open_or_make(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)  # minus the user's umask, as open() does


def _lock(descriptor: int, shown: str) -> None:
    """Lock out other processes until the file is closed or this process ends, however it ends."""
    try:
        _system_lock(descriptor)
    except OSError as error:
        if error.errno in _LOCKED:
            raise OutputBusyError(shown) from error
        if error.errno not in _NO_LOCKS:
            raise


if sys.platform == "win32":

    def _system_lock(descriptor: int) -> None:
        import msvcrt

        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, 1 << 62, os.SEEK_SET)  # locked bytes cannot be read by others, so far behind the end
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)

else:

    def _system_lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class PendingFile:
    """A file that grows beside its final place, as .NAME.part, until `replace` puts it there; write to its `file`.

    The next writer of the same file reuses what a kill leaves. If another process is writing the same file right now,
    the default is to use a temporary name of its own, and the last to finish wins; with `alone`, OutputBusyError is
    raised. The mode of a replaced file is kept; a symbolic link is itself replaced, never followed.

    Raises DataError if it cannot be written, as do its methods and `file`. Source of the idea: google/renameio.
    """

    def __init__(self, path: FilePath, *, sync: bool = True, alone: bool = False) -> None:
        self._path, self._sync = os.fspath(path), sync
        with write_errors(self._path):
            raw, self._part = _open_part(self._path, alone=alone)
        self.file: BinaryIO = io.BufferedWriter(raw, _BUFFER_BYTES)

    def replace(self) -> None:
        """Put the file in its place."""
        with write_errors(self._path):
            self.file.flush()
            mode = _mode(self._path)
            if mode is not None:
                os.chmod(self._part, mode)
            if self._sync or mode is not None:
                os.fsync(self.file.fileno())
            if sys.platform == "win32":
                self.file.close()  # an open file cannot be renamed there
            os.replace(self._part, self._path)
            if self._sync:
                _sync_names(os.path.dirname(self._path))
            self.file.close()  # which unlocks it: before the renaming, another writer could empty it

    def discard(self) -> None:
        """Delete what was written; the old file stays."""
        with contextlib.suppress(OSError):
            os.unlink(self._part)
        with contextlib.suppress(OSError, DataError):  # closing flushes the buffer
            self.file.close()


def _open_part(path: str, *, alone: bool) -> tuple[LockedFile, str]:
    """Create an empty, locked file beside `path`; returns it and its path. Raises OSError, OutputBusyError."""
    part = beside(path, "part")
    if os.path.lexists(part) and not stat.S_ISREG(os.lstat(part).st_mode):
        os.unlink(part)  # a link would be followed, and a pipe would wait
    try:
        file = _open_locked(part, path)
    except OutputBusyError:
        if alone:
            raise
        part = beside(path, f"{os.getpid()}-{os.urandom(4).hex()}.part")
        file = _open_locked(part, path)
    file.truncate(0)
    return file, part


def beside(path: str, ending: str) -> str:
    """The path of the hidden file with this ending beside a file or folder."""
    folder, name = os.path.split(path)
    if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
        name = hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()
    return os.path.join(folder, f".{name}.{ending}")


def _mode(path: str) -> int | None:
    """The permissions of a file; None if there is none."""
    with contextlib.suppress(FileNotFoundError):
        mode = os.lstat(path).st_mode
        return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None
    return None


@contextlib.contextmanager
def replacing_file(path: FilePath, *, sync: bool = True, alone: bool = False) -> Iterator[BinaryIO]:
    """Give a file to write to, which replaces `path` when the block ends, and is deleted if the block raises.

    `sync`, `alone` and the errors are those of `PendingFile`.
    """
    pending = PendingFile(path, sync=sync, alone=alone)
    try:
        yield pending.file
        pending.replace()
    except BaseException:
        pending.discard()
        raise


def replace_file(path: FilePath, data: bytes, *, sync: bool = True) -> None:
    """Replace a file, or create it. Raises DataError, and then leaves the old file and nothing else."""
    with replacing_file(path, sync=sync) as file:
        file.write(data)


def create_file(path: FilePath, data: bytes, *, sync: bool = True) -> bool:
    """Create a file unless it exists; returns whether it did. Of several processes or machines, only one does.

    `sync` waits for the disk. Raises DataError if it cannot be written.
    """
    path = os.fspath(path)
    with write_errors(path):
        new = beside(path, f"{os.urandom(16).hex()}.part")  # no lock holds across machines
        try:
            with _open_locked(new, path) as file:
                file.write(data)
                if sync:
                    os.fsync(file.fileno())
            return _link(new, path, sync=sync)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(new)


def _link(new: str, path: str, *, sync: bool) -> bool:
    """Give a file a second name, unless that name is taken."""
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if os.path.exists(path):
            return False
        os.rename(new, path)
    if sync:
        _sync_names(os.path.dirname(path))
    return True


def put_if_absent(new: FilePath, path: FilePath) -> bool:
    """Give a finished, closed file the name `path` unless that is taken; returns whether it did. `new` is gone then.

    Of several processes or machines, only one does. Raises OSError.
    """
    _sync(new)
    put = _link(os.fspath(new), os.fspath(path), sync=True)
    with contextlib.suppress(FileNotFoundError):  # it was renamed
        os.unlink(new)
    return put


def put_in_place(new: FilePath, path: FilePath) -> None:
    """Replace `path` by a finished, closed file that nobody else writes to. Raises OSError."""
    _sync(new)
    os.replace(new, path)
    _sync_names(os.path.dirname(path))


@contextlib.contextmanager
def locked(path: FilePath) -> Iterator[None]:
    """Keep other processes from writing a file or folder: by a file beside it, .NAME.lock, which is gone in the end.

    Raises OutputBusyError, or DataError if no file can be made there.
    """
    lock = beside(os.path.abspath(path), "lock")
    with open_locked(lock, shown=path):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(lock)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder, which replaces the folder `path` when the block ends, and is deleted if it raises.

    A kill leaves the old folder: between the two renamings it is at `surviving_folder(path)`, and the next call puts it
    back. Raises OutputBusyError if another process is writing the same folder, DataError if none can be made there.
    """
    path = path.resolve()
    new, old = (Path(beside(str(path), ending)) for ending in ("new", "old"))
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path), contextlib.ExitStack() as leaving:
        leaving.callback(shutil.rmtree, new, ignore_errors=True)
        with write_errors(path):
            if surviving_folder(path) == old:
                os.replace(old, path)
            for rest in (new, old):
                shutil.rmtree(rest, ignore_errors=True)
            new.mkdir()
        yield new
        with write_errors(path):
            sync_tree(new)
            if path.exists():
                os.replace(path, old)
            os.replace(new, path)
            _sync_names(path.parent)
        shutil.rmtree(old, ignore_errors=True)


def surviving_folder(path: Path) -> Path:
    """Where a folder that `replacing_folder` writes is: at `path`, or beside it after a kill between two renamings."""
    old = Path(beside(str(path.resolve()), "old"))
    return old if old.is_dir() and not path.exists() else path


def sync_tree(folder: Path) -> None:
    """Wait until a folder and everything in it is on the disk. Raises OSError."""
    for parent, _folders, files in os.walk(folder):
        for name in files:
            _sync(os.path.join(parent, name))
        _sync_names(parent)


def _sync(path: FilePath) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_names(folder: FilePath) -> None:
    """Wait until the names in a folder are on the disk, on systems that can."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):  # some network file systems do not
        descriptor = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
