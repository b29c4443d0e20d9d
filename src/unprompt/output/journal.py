"""Stores answers on disk, so that an interrupted run can be resumed.

Answers are found by the hash of their picture and by the settings that determine them, never by a file's name. They are
in an SQLite file:

    settings (id, hash)                  hash: by `settings_key`
    answers  (settings, sha256, packed)  packed: by unprompt.output.packing

A kill at any moment loses at most the batch that is being stored; a power cut may lose the last seconds. One process at
a time uses a journal; the lock ends with the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from unprompt.display import printable
from unprompt.errors import DataError, JournalBusyError
from unprompt.output.packing import pack, unpack
from unprompt.prediction import Prediction

VERSION = 2
"""The version of the file's layout, and of the packed answers."""

_APPLICATION = int.from_bytes(b"unpr", "big")
"""The application ID by which a journal differs from other SQLite files."""

_PAGE_BYTES = 8192
"""Three answers of the embedded preset fill a page. On SQLite's usual 4096 bytes, each would take a whole page."""

_ROWS = 256
"""Answers that are copied from another journal at a time."""

_TABLES = (
    "CREATE TABLE settings (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE)",
    "CREATE TABLE answers (settings INTEGER NOT NULL, sha256 BLOB NOT NULL, packed BLOB NOT NULL, "
    "UNIQUE (settings, sha256))",
)

# Files that SQLite keeps beside the journal until it is closed properly.
_SIDE_FILES = ("-wal", "-shm", "-journal")


def settings_key(
    model: Mapping[str, Any], *, text: bool, top: int, ignore_metadata: bool, read_beside: bool = True
) -> str:
    """Hash (hex) everything but the picture that determines an answer; `model` is as in `Prediction.model`."""
    settings = {
        "model": dict(model),
        "top": top if text else 0,  # without text there are no candidates
        "ignore_metadata": ignore_metadata,
        "read_beside": read_beside and not ignore_metadata,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


class Journal:
    """Answers stored on disk, for `Unprompter.predict(answers=...)`; threads may share it.

    Every method raises DataError if the file is damaged, or if the disk is full or fails; answers stored before stay.
    """

    def __init__(self, connection: sqlite3.Connection, path: str, settings: int, settings_hash: str) -> None:
        self._connection = connection
        self._path = path
        self._settings, self._hash = settings, settings_hash
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | os.PathLike[str], settings: str) -> Journal:
        """Open or create the journal at `path`, for answers with these `settings`.

        Raises JournalBusyError if it is in use, DataError if it cannot be read and written or is not a journal.
        """
        path = _file(os.fsdecode(path))
        with _explained(path), contextlib.ExitStack() as opened:
            connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            opened.callback(connection.close)
            number = _prepare(connection, path, settings)
            opened.pop_all()
        return cls(connection, path, number, settings)

    def get(self, sha256: str) -> Prediction | None:
        """Find the answer for a picture's `sha256` (hex), with the source name that the picture had then.

        None if there is none, or if it is damaged.
        """
        with self._lock, _explained(self._path):
            row = self._connection.execute(
                "SELECT packed FROM answers WHERE settings = ? AND sha256 = ?", (self._settings, bytes.fromhex(sha256))
            ).fetchone()
        try:
            return None if row is None else unpack(row[0])
        except ValueError:  # it will be computed again, and replace the damaged one
            return None

    def put(self, answers: Mapping[str, Prediction]) -> None:
        """Store answers by their picture's sha256 (hex): all of them or, if this raises, none."""
        self._store([(bytes.fromhex(sha256), pack(answer)) for sha256, answer in answers.items()])

    def adopt(self, path: str | os.PathLike[str]) -> int:
        """Store the answers of another journal that have the same settings; returns how many there were.

        The other journal is not changed, and its process may be writing to it. What is damaged in it is passed over.
        """
        count = 0
        for rows in _rows_of(os.fsdecode(path), self._hash, os.path.dirname(self._path)):
            self._store(rows)
            count += len(rows)
        return count

    def _store(self, answers: Sequence[tuple[bytes, bytes]]) -> None:
        """Store packed answers by their picture's sha256."""
        rows = [(self._settings, sha256, packed) for sha256, packed in answers]
        with self._lock, _explained(self._path), self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO answers VALUES (?, ?, ?) "
                "ON CONFLICT (settings, sha256) DO UPDATE SET packed = excluded.packed",
                rows,
            )

    def is_empty(self) -> bool:
        """Whether no answer is stored, with any settings."""
        with self._lock, _explained(self._path):
            return self._connection.execute("SELECT 1 FROM answers LIMIT 1").fetchone() is None

    def close(self) -> None:
        """Close and unlock it; may be called twice."""
        with self._lock:
            self._connection.close()

    def close_and_remove(self) -> None:
        """Close it and delete the file, because its run is complete."""
        self.close()
        try:
            # The file itself is deleted last: one created by another process at this moment keeps its side files.
            for suffix in (*_SIDE_FILES, ""):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path + suffix)
        except OSError as error:
            raise DataError(f"cannot remove the journal {printable(self._path)}: {error.strerror}") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _file(path: str) -> str:
    """Create the file if it does not exist, since SQLite does not say why it cannot; returns its path without links.

    An existing file is not opened here: closing it would release every lock that this process holds on it.
    """
    name = printable(path)
    try:
        path = os.path.realpath(path)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError as error:
        if not os.path.isfile(path):
            found = "a folder or device"
        elif not os.access(path, os.R_OK | os.W_OK):
            found = "one that may not be read and written"
        else:
            return path
        raise DataError(f"expected a file for the journal, found {found}: {name}; choose another -o") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot make the journal {name}: {reason}; check its folder or choose another -o") from error
    return path


def _prepare(connection: sqlite3.Connection, path: str, settings: str) -> int:
    """Lock the file until the connection is closed, and check or create its tables; returns the id of the settings."""
    # Before the first access: the log then needs no memory shared by processes, which some file systems do not offer.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    with connection:
        connection.execute("BEGIN EXCLUSIVE")
        if _is_new(connection, path):
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("INSERT OR IGNORE INTO settings (hash) VALUES (?)", (settings,))
        (number,) = connection.execute("SELECT id FROM settings WHERE hash = ?", (settings,)).fetchone()
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    # Without a log, only a sync of every transaction keeps a power cut from damaging the file.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
    return int(number)


def _is_new(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the file is empty. Raises DataError if it is neither empty nor a journal of this version."""
    name = printable(path)
    if os.path.getsize(path) == 0:  # SQLite itself also treats a file of one byte as new
        return True
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if application != _APPLICATION:
        raise DataError(f"expected a journal of unprompt, found another database: {name}; choose another -o")
    if version != VERSION:
        raise DataError(
            f"expected a journal of version {VERSION}, found version {version}: {name}; "
            "use the unprompt that wrote it, delete it or choose another -o"
        )
    if tables != set(_TABLES):
        raise DataError(f"expected the tables of a journal, found others: {name}; delete it or choose another -o")
    return False


def _rows_of(path: str, settings: str, room: str) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield hashes and packed answers of a journal, some at a time, from a copy in the folder `room`.

    SQLite would change the file to open it. A copy that was made while it was written to may be torn: then its index
    cannot be trusted, so rows are taken one after the other, each with its own checksum.
    """
    with tempfile.TemporaryDirectory(dir=room) as folder, contextlib.suppress(OSError, sqlite3.DatabaseError):
        copy = os.path.join(folder, "copy")
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path + suffix, copy + suffix)
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            found = connection.execute(
                "SELECT answers.sha256, packed FROM answers NOT INDEXED "
                "JOIN settings ON settings.id = answers.settings WHERE settings.hash = ?",
                (settings,),
            )
            while rows := found.fetchmany(_ROWS):
                yield [(sha256, packed) for sha256, packed in rows if _is_answer(sha256, packed)]


def _is_answer(sha256: object, packed: object) -> bool:
    if not isinstance(sha256, bytes) or len(sha256) != hashlib.sha256().digest_size or not isinstance(packed, bytes):
        return False
    try:
        unpack(packed)
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turn an error of SQLite into a DataError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _unusable(error, path) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # its other subclasses are bugs of unprompt
            raise
        raise DataError(
            f"expected a journal of unprompt, found a file that is damaged or something else ({error}): "
            f"{printable(path)}; delete it or choose another -o"
        ) from error


def _unusable(error: sqlite3.OperationalError, path: str) -> DataError:
    """The error for a journal that cannot be used, by SQLite's text: Python 3.10 has no error code."""
    reason = str(error)
    if reason == "database is locked":
        return JournalBusyError(path)
    if reason in ("database or disk is full", "disk I/O error"):
        return DataError(
            f"cannot write the journal {printable(path)}: {reason}; free some space and run again with --resume"
        )
    return DataError(f"cannot use the journal {printable(path)}: {reason}; check its permissions or choose another -o")
