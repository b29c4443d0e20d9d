"""A model folder: weights, together with everything that is needed to use them.

`config.json` holds `name`, `architecture`, `files` (name -> size and sha256), `licence`, `origin`, `score` and, for
image models, `preprocessing`. Weights without a config are an error: nothing is guessed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from unprompt.checked import Bounds, Pattern, read
from unprompt.durable import replacing_folder, surviving_folder
from unprompt.errors import ModelError

CONFIG = "config.json"
CARD = "README.md"

_LARGEST_BYTES = 1 << 60
"""More than any file system allows in a file."""


@dataclass(frozen=True, slots=True)
class FileSum:
    """A config's entry for a file: size in bytes, sha256 in hexadecimal."""

    size: Annotated[int, Bounds(0, _LARGEST_BYTES)]
    sha256: Annotated[str, Pattern("[0-9a-f]{64}", "of 64 hexadecimal digits")]
    other_keys: ClassVar[bool] = True


@dataclass(frozen=True)
class _Needed:
    """The keys that every config has; each kind of model adds its own."""

    name: Any
    architecture: Any
    files: Mapping[str, FileSum]
    licence: Any
    origin: Any
    aids: tuple[str, ...] = ()
    other_keys: ClassVar[bool] = True


@dataclass(frozen=True)
class FileCheck:
    """One file of a model folder, checked: size in bytes and sha256 by its config, and the state of the file."""

    path: Path
    size: int
    sha256: str
    state: Literal["ok", "missing", "damaged"]


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a readable config; each file is checked when it is requested."""

    path: Path
    config: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> ModelFolder:
        """Read the config. Raises ModelError if there is none, a key is missing, or a size or hash is malformed."""
        try:
            config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ModelError(f"expected a model folder with a {CONFIG} at {path}, found none") from error
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"cannot read {path / CONFIG}: {error}") from error
        where = str(path / CONFIG)
        for name in read(_Needed, config, where, error=ModelError).files:
            if not name.isprintable() or not _is_below(name):
                raise ModelError(f"{where}: expected names of files in the folder, found {name!r}")
        return cls(path, config)

    @property
    def name(self) -> str:
        return str(self.config["name"])

    def file(self, name: str) -> Path:
        """The path of a file, checked against the config's hash. Raises ModelError if it is missing or differs."""
        check = self._check(name)
        if check.state != "ok":
            found = "is missing" if check.state == "missing" else "has another sha256 than its config says"
            raise ModelError(
                f"model {self.name}: {check.path} {found}; expected {check.size} bytes, sha256 {check.sha256[:12]}...; "
                "install the model again ('unprompt models verify' lists every file)"
            )
        return check.path

    def verify(self) -> list[FileCheck]:
        """Check every file."""
        return [self._check(name) for name in self.config["files"]]

    def identity(self, *, aids: bool = False) -> str:
        """A short hash of the config's sizes and hashes, which changes with any file.

        Those that the config lists as `aids` count only if asked for: the model's answers are the same without them.
        """
        left_out = () if aids else self.config.get("aids", ())
        files = {name: promised for name, promised in self.config["files"].items() if name not in left_out}
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]

    def _check(self, name: str) -> FileCheck:
        promised = self.config["files"].get(name)
        if promised is None:
            raise ModelError(f"{self.path / CONFIG} does not say size and sha256 of {name}")
        path, size, sha256 = self.path / name, promised["size"], promised["sha256"]
        if not path.is_file():
            return FileCheck(path, size, sha256, "missing")
        intact = path.stat().st_size == size and file_sha256(path) == sha256
        return FileCheck(path, size, sha256, "ok" if intact else "damaged")


def _is_below(name: str) -> bool:
    """Whether a file's name stays in the folder, on every system."""
    return not {"", ".", ".."} & set(name.split("/")) and not re.search(r"[\\:]", name)


def file_sha256(path: Path) -> str:
    """The sha256 of a file of any size, in hexadecimal."""
    return file_digest(path, hashlib.sha256())


def file_digest(path: Path, digest: hashlib._Hash) -> str:
    """Update a hash by a file of any size; returns the hash in hexadecimal."""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_config(path: Path, config: Mapping[str, Any], files: Iterable[str]) -> ModelFolder:
    """Write `config.json` for `files`, which are in the folder `path`, with their sizes and hashes."""
    promised = {
        name: {"size": (path / name).stat().st_size, "sha256": file_sha256(path / name)} for name in sorted(files)
    }
    text = json.dumps({**config, "files": promised}, indent=2, ensure_ascii=False)
    (path / CONFIG).write_text(text + "\n", encoding="utf-8")
    return ModelFolder.open(path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give an empty folder to write a model to, which replaces `path` when the block ends without an error.

    Raises ModelError if `path` holds anything but a model, since nothing else is ever removed; OutputBusyError if
    another process is writing the same folder, DataError if no folder can be made there.
    """
    check_replaceable(path)
    with replacing_folder(path) as new:
        yield new


def check_replaceable(path: Path) -> None:
    """Raise ModelError if a path holds anything but a model, which `replacing` would not remove."""
    path = surviving_folder(path)
    if not path.exists():
        return
    names = {file.name for file in path.iterdir()} if path.is_dir() else {path.name}
    if not names:
        return
    own = {CONFIG, CARD, *ModelFolder.open(path).config["files"]} if CONFIG in names else set()
    if others := sorted(names - own):
        raise ModelError(f"expected a new folder or one with a model alone at {path}, found {', '.join(others[:4])}")
