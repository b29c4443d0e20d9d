"""A folder on this machine, or one that several machines share."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from unprompt.display import printable
from unprompt.durable import create_file, replace_file, replacing_file, write_errors
from unprompt.errors import DataError, LocationError
from unprompt.locations.folder import Entry

_PAGE = 1000
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder by its path. Writing makes the folders that are missing."""

    path: str

    @property
    def address(self) -> str:
        """The folder's path."""
        return self.path

    @property
    def shown(self) -> str:
        """The path as messages show it."""
        return printable(self.path)

    def pages(self, prefix: str = "") -> Iterator[list[Entry]]:
        """Everything below the folder, by name; see `Folder`. Links to folders are not followed."""
        entries = self._below(prefix)
        with self._errors(self.path):
            while page := list(islice(entries, _PAGE)):
                yield page

    def entry(self, name: str) -> Entry | None:
        """One file; None if it is not there."""
        with self._errors(name):
            try:
                status = os.stat(self._path(name))
            except (FileNotFoundError, NotADirectoryError):
                return None
            return Entry(name, status.st_size, status.st_mtime) if os.path.isfile(self._path(name)) else None

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file."""
        with self._errors(name), open(self._path(name), "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            found = f"found more in {printable(self._path(name))}"
            raise LocationError("too-large", f"expected at most {limit / 1_000_000:g} MB, {found}; make it smaller")
        return data

    def open(self, name: str, size: int | None = None) -> io.BufferedReader:
        """A file to read."""
        with self._errors(name):
            return open(self._path(name), "rb")

    def write(self, name: str, data: bytes) -> None:
        """Replace a file, or create it."""
        with self._made(name) as path:
            replace_file(path, data)

    def upload(self, name: str, path: str) -> None:
        """Copy a file into the folder, as a whole."""
        with self._made(name) as place, open(path, "rb") as source, replacing_file(place) as file:
            while data := source.read(_CHUNK):
                file.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """Create a file unless it is there; of several machines that share a disk, only one does."""
        with self._made(name) as path:
            return create_file(path, data)

    def check_creates(self) -> None:
        """Nothing to do: a hard link is made only once."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._errors(name):
            try:
                os.unlink(self._path(name))
            except (FileNotFoundError, NotADirectoryError):
                return

    def _below(self, prefix: str) -> Iterator[Entry]:
        waiting = [""]
        while waiting:
            name = waiting.pop()
            if name and not name.endswith("/"):
                status = os.stat(os.path.join(self.path, name))
                yield Entry(name, status.st_size, status.st_mtime)
                continue
            with suppress(FileNotFoundError, NotADirectoryError):
                waiting += self._names(name, prefix)

    def _names(self, folder: str, prefix: str) -> list[str]:
        """The wanted names in a folder, last first; those of folders end in "/"."""
        found = []
        with os.scandir(os.path.join(self.path, folder) or os.curdir) as entries:
            for entry in entries:
                name = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if f"{name}/".startswith(prefix) or prefix.startswith(f"{name}/"):
                        found.append(f"{name}/")
                elif name.startswith(prefix) and entry.is_file():
                    found.append(name)
        return sorted(found, reverse=True)

    def _path(self, name: str) -> str:
        return os.path.join(self.path, *name.split("/"))

    @contextmanager
    def _made(self, name: str) -> Iterator[str]:
        """The path of a file to write, whose folder is there."""
        path = self._path(name)
        try:
            with write_errors(path):
                os.makedirs(os.path.dirname(path) or os.curdir, exist_ok=True)
                yield path
        except LocationError:
            raise
        except DataError as error:
            raise LocationError("unreadable", str(error)) from error

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise LocationError(
                "not-found", f"expected a file in {self.shown}, found no {printable(name)}; check the path"
            ) from error
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise LocationError(
                "unreadable", f"expected {printable(name)} to be readable, found: {reason}; check the permissions"
            ) from error
