"""A durable memory of answers, so that a run that was broken off goes on where it was.

Answers are known by the content of their picture and by the settings that decided them, never by a file's name. They
lie in an SQLite file:

    settings (id, hash)                  hash: see `settings_key`
    answers  (settings, sha256, packed)  packed: see unprompt.output.packing

A kill at any moment costs the batch that was being put and no other. A power cut may cost the last seconds. A journal
is used by one process at a time; what locks it ends with the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.output.packing import pack, unpack
from unprompt.prediction import Prediction

VERSION = 2
"""Of the file's layout and of what is packed in it."""

_APPLICATION = int.from_bytes(b"unpr", "big")
"""What tells a journal from all other SQLite files."""

_PAGE_BYTES = 8192
"""Three answers of the embedded preset fill a page. On SQLite's usual 4096 bytes each would take a page of its own."""

_TABLES = (
    "CREATE TABLE settings (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE)",
    "CREATE TABLE answers (settings INTEGER NOT NULL, sha256 BLOB NOT NULL, packed BLOB NOT NULL, "
    "UNIQUE (settings, sha256))",
)

# What SQLite leaves beside the file until it is closed in order.
_SIDE_FILES = ("-wal", "-shm", "-journal")


class JournalBusyError(DataError):
    """Another process, or another part of this one, is using the journal."""

    def __init__(self, path: str) -> None:
        super().__init__(f"another unprompt is using {printable(path)}; wait for it or choose another -o")


def settings_key(model: Mapping[str, Any], *, text: bool, top: int, ignore_metadata: bool) -> str:
    """A hash (hex) of all that decides an answer besides the picture; `model` is as in `Prediction.model`."""
    settings = {
        "model": dict(model),
        "top": top if text else 0,  # without text there are no candidates to keep
        "ignore_metadata": ignore_metadata,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


class Journal:
    """Answers that outlive the process. Fit for `Unprompter.predict(answers=...)`; threads may share it.

    Every method raises DataError where the file is damaged, or where the disk is full or fails: what was put before
    then stays.
    """

    def __init__(self, connection: sqlite3.Connection, path: str, settings: int) -> None:
        self._connection = connection
        self._path = path
        self._settings = settings
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | os.PathLike[str], settings: str) -> Journal:
        """The journal at `path`, made where there is none; only answers of these `settings` are given.

        Raises JournalBusyError where it is in use, DataError where it cannot be read and written or is no journal.
        """
        path = _file(os.fsdecode(path))
        with _explained(path), contextlib.ExitStack() as opened:
            connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            opened.callback(connection.close)
            number = _prepare(connection, path, settings)
            opened.pop_all()
        return cls(connection, path, number)

    def get(self, sha256: str) -> Prediction | None:
        """The answer for a content's `sha256` (hex), called by the name that the picture had then.

        None where there is none or it is damaged.
        """
        with self._lock, _explained(self._path):
            row = self._connection.execute(
                "SELECT packed FROM answers WHERE settings = ? AND sha256 = ?", (self._settings, bytes.fromhex(sha256))
            ).fetchone()
        try:
            return None if row is None else unpack(row[0])
        except ValueError:  # it is computed again, and put in place of the damaged one
            return None

    def put(self, answers: Mapping[str, Prediction]) -> None:
        """Keep answers by their content's sha256 (hex): all of them or, where this raises, none."""
        rows = [(self._settings, bytes.fromhex(sha256), pack(answer)) for sha256, answer in answers.items()]
        with self._lock, _explained(self._path), self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO answers VALUES (?, ?, ?) "
                "ON CONFLICT (settings, sha256) DO UPDATE SET packed = excluded.packed",
                rows,
            )

    def is_empty(self) -> bool:
        """Whether nothing was ever put, with any settings."""
        with self._lock, _explained(self._path):
            return self._connection.execute("SELECT 1 FROM answers LIMIT 1").fetchone() is None

    def close(self) -> None:
        """Let others use it. What was put stays; closing twice is fine."""
        with self._lock:
            self._connection.close()

    def close_and_remove(self) -> None:
        """Close it and delete the file: the run that it was kept for ended whole."""
        self.close()
        try:
            # The file itself goes last: one that somebody makes anew at this moment keeps its own side files.
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
    """The path without links, of a file that is made empty where there is none: SQLite does not say why it cannot.

    A file that exists is not opened here: closing it again would free every lock that this process holds on it.
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
    """Lock the file until the connection is closed, check or make its tables; the id of the settings."""
    # Before the first look at the file: the log then needs no memory that processes share, so any file system will do.
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
    # Without a log, only a sync at each put keeps a power cut from damaging the file.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
    return int(number)


def _is_new(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the file is empty. Raises DataError where it is neither that nor a journal of this version."""
    name = printable(path)
    if os.path.getsize(path) == 0:  # SQLite itself also takes a file of one byte for a new one
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


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """What SQLite says, said to people."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _unusable(error, path) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # its other children are faults of ours
            raise
        raise DataError(
            f"expected a journal of unprompt, found a file that is damaged or something else ({error}): "
            f"{printable(path)}; delete it or choose another -o"
        ) from error


def _unusable(error: sqlite3.OperationalError, path: str) -> DataError:
    """The error's own code is not to be had before Python 3.11; its texts have been the same for twenty years."""
    reason = str(error)
    if reason == "database is locked":
        return JournalBusyError(path)
    if reason in ("database or disk is full", "disk I/O error"):
        return DataError(
            f"cannot write the journal {printable(path)}: {reason}; free some space and run again with --resume"
        )
    return DataError(f"cannot use the journal {printable(path)}: {reason}; check its permissions or choose another -o")
