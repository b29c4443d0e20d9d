"""Where the workers of a run meet: a folder that all of them see, or one in an object store.

Both hold the same files under the same names. In a folder, what a worker has in work lies there too, for whoever takes
it over. To a store, only what is small or finished is written; the rest is in a temporary folder of the worker, and a
shard that is taken over begins anew.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeAlias
from uuid import uuid4

from unprompt.display import printable
from unprompt.durable import create_file, put_if_absent, replace_file, write_errors
from unprompt.errors import DataError, LocationError
from unprompt.locations.address import is_remote
from unprompt.locations.folder import Folder
from unprompt.locations.location import folder_at
from unprompt.scale.claims import LocalMarks, Marks

PARTS = "parts"
"""The folder of the parts that are complete."""

WORK = ".work"  # hidden, so that readers of the folder skip it

THEN = "finished shards are kept: mend that and give the same command again"
"""What to do if a place cannot be written to."""

_LIMIT_BYTES = 1 << 22
_AT_ONCE_BYTES = 64 << 20
"""A larger part is not kept in memory to be written: then the last of two that finish at once writes it."""

Where: TypeAlias = "str | Path | Place"
"""A path, an address such as s3://BUCKET/DIR, or a place itself."""


class Place(Protocol):
    """A place for the files of a run. Names are relative, with "/". Every method may raise DataError."""

    marks: Marks
    """The claims."""

    work: Path
    """A local folder for what this process has in work; it exists once something is claimed."""

    shared: bool
    """Whether other workers see that folder too."""

    def __str__(self) -> str:
        """The path or address, as messages show it."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file unless it is there; returns whether this call did. Of several workers, only one does."""

    def read(self, name: str) -> bytes | None:
        """A small file; None if it is not there."""

    def replace(self, name: str, data: bytes) -> None:
        """Write a small file as a whole, or replace it."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder of the place."""

    def stranger(self) -> str | None:
        """The name of something that is there and not hidden; None if there is nothing."""

    def publish(self, path: Path, name: str) -> bool:
        """Give a local file, which is gone then, its name, unless that is taken; returns whether it was not.

        Raises FileNotFoundError if there is no such file.
        """

    def clear(self) -> None:
        """Remove what finished shards left in work."""

    def local(self) -> contextlib.AbstractContextManager[Path]:
        """A local folder with the finished parts."""


class SharedFolder:
    """A folder that all workers see; its folders are made as they are needed."""

    shared = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.work = folder / WORK
        self.marks: Marks = LocalMarks(self.work)

    def __str__(self) -> str:
        return printable(str(self._folder))

    def create(self, name: str, data: bytes) -> bool:
        path = self._made(name)
        return create_file(path, data)

    def read(self, name: str) -> bytes | None:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(_LIMIT_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"cannot read {printable(str(self._folder / name))}: {error.strerror}") from error

    def replace(self, name: str, data: bytes) -> None:
        replace_file(self._made(name), data, sync=False)

    def remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / name).unlink()

    def stranger(self) -> str | None:
        return next((name for name in self.names("") if not name.startswith(".")), None)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(self._folder / folder))
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise DataError(f"expected a folder for the shards, found the file {self}") from error
        except OSError as error:
            raise DataError(f"cannot read {self}: {error.strerror}") from error

    def publish(self, path: Path, name: str) -> bool:
        target = self._made(name)
        with write_errors(target, THEN):
            try:
                return put_if_absent(path, target)
            except FileNotFoundError:
                if path.exists():
                    raise
        raise FileNotFoundError(path)

    def clear(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)

    @contextlib.contextmanager
    def local(self) -> Iterator[Path]:
        yield self._folder

    def _made(self, name: str) -> Path:
        path = self._folder / name
        with write_errors(self._folder, THEN):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path


class StoreFolder:
    """A folder in an object store, and a temporary folder for what is in work."""

    shared = False

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.work = Path(tempfile.mkdtemp(prefix="unprompt-"))
        weakref.finalize(self, shutil.rmtree, self.work, ignore_errors=True)
        self.marks: Marks = StoreMarks(folder, WORK)

    def __str__(self) -> str:
        return self._folder.shown

    def create(self, name: str, data: bytes) -> bool:
        self._folder.check_creates()
        return self._folder.create(name, data)

    def read(self, name: str) -> bytes | None:
        return _read(self._folder, name, _LIMIT_BYTES)

    def replace(self, name: str, data: bytes) -> None:
        self._folder.write(name, data)

    def remove(self, name: str) -> None:
        self._folder.remove(name)

    def stranger(self) -> str | None:
        page = next(self._folder.pages(), [])
        return next((entry.name for entry in page if not entry.name.startswith(".")), None)

    def names(self, folder: str) -> list[str]:
        return _names(self._folder, f"{folder}/")

    def publish(self, path: Path, name: str) -> bool:
        if path.stat().st_size <= _AT_ONCE_BYTES:
            first = self._folder.create(name, path.read_bytes())
        else:
            first = self._folder.entry(name) is None
            if first:
                self._folder.upload(name, str(path))
        path.unlink()
        return first

    def clear(self) -> None:
        for name in self.names(WORK):
            self.remove(f"{WORK}/{name}")

    @contextlib.contextmanager
    def local(self) -> Iterator[Path]:
        """The parts are fetched, each once, to a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="unprompt-") as folder:
            parts = Path(folder) / PARTS
            parts.mkdir()
            for name in self.names(PARTS):
                with self._folder.open(f"{PARTS}/{name}") as source, (parts / Path(name).name).open("wb") as target:
                    shutil.copyfileobj(source, target)
            yield Path(folder)


class StoreMarks:
    """Claims as objects: renewed by writing them again, and as old as the store's clock says."""

    def __init__(self, folder: Folder, below: str) -> None:
        self._folder, self._below = folder, below

    def create(self, name: str, data: bytes) -> bool:
        with _as_os_errors():
            return self._folder.create(self._name(name), data)

    def read(self, name: str) -> bytes | None:
        with _as_os_errors():
            return _read(self._folder, self._name(name), _LIMIT_BYTES)

    def renew(self, name: str) -> None:
        with _as_os_errors():
            content = _read(self._folder, self._name(name), _LIMIT_BYTES)
            if content is None:
                raise FileNotFoundError(name)
            self._folder.write(self._name(name), content)

    def age_s(self, name: str) -> float | None:
        probe = self._name(f".now-{uuid4().hex}")
        with _as_os_errors():
            try:
                claim = self._folder.entry(self._name(name))
                self._folder.write(probe, b"")
                now = self._folder.entry(probe)
            finally:
                self._folder.remove(probe)
        if claim is None or now is None or claim.modified_s is None or now.modified_s is None:
            return None
        return now.modified_s - claim.modified_s

    def delete(self, name: str) -> None:
        with _as_os_errors():
            self._folder.remove(self._name(name))

    def names(self) -> list[str]:
        with _as_os_errors():
            return _names(self._folder, f"{self._below}/")

    def _name(self, name: str) -> str:
        return f"{self._below}/{name}"


def place_at(where: Where) -> Place:
    """The place at a path or an address; nothing is looked for there yet. Raises DataError for an unknown kind."""
    if isinstance(where, str) and is_remote(where):
        return StoreFolder(folder_at(where))
    if isinstance(where, (str, Path)):
        return SharedFolder(Path(where))
    return where


def _read(folder: Folder, name: str, limit: int) -> bytes | None:
    try:
        return folder.read(name, limit)
    except LocationError as error:
        if error.kind == "not-found":
            return None
        raise


def _names(folder: Folder, prefix: str) -> list[str]:
    return [entry.name.removeprefix(prefix) for page in folder.pages(prefix) for entry in page]


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """What claims expect of a place that cannot be reached for a moment."""
    try:
        yield
    except LocationError as error:
        raise OSError(str(error)) from error
