"""A model folder: weights that travel with all that is needed to use them.

`config.json` holds `name`, `architecture`, `files` (name -> size and sha256), `licence`, `origin`, `score` and, for
image models, `preprocessing`. Weights without a config are an error, not a guess.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
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
"""More than any file has."""


@dataclass(frozen=True, slots=True)
class FileSum:
    """What a config says of a file: its size in bytes, and its sha256 in hexadecimal."""

    size: Annotated[int, Bounds(0, _LARGEST_BYTES)]
    sha256: Annotated[str, Pattern("[0-9a-f]{64}", "of 64 hexadecimal digits")]
    other_keys: ClassVar[bool] = True


@dataclass(frozen=True)
class _Needed:
    """What every config says; each kind of model adds its own."""

    name: Any
    architecture: Any
    files: Mapping[str, FileSum]
    licence: Any
    origin: Any
    other_keys: ClassVar[bool] = True


@dataclass(frozen=True)
class FileCheck:
    """One file of a model folder: what its config promises and what is there. `size` in bytes."""

    path: Path
    size: int
    sha256: str
    state: Literal["ok", "missing", "damaged"]


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a readable config; its files are checked when they are asked for."""

    path: Path
    config: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> ModelFolder:
        """Reads the config. Raises ModelError where there is none, one that lacks a key, or odd sizes or hashes."""
        try:
            config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ModelError(f"expected a model folder with a {CONFIG} at {path}, found none") from error
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"cannot read {path / CONFIG}: {error}") from error
        where = str(path / CONFIG)
        for name in read(_Needed, config, where, error=ModelError).files:
            if not name.isprintable():
                raise ModelError(f"{where}: expected names of files that can be shown, found {name!r}")
        return cls(path, config)

    @property
    def name(self) -> str:
        return str(self.config["name"])

    def file(self, name: str) -> Path:
        """The path of a file whose content is what the config promises; ModelError where it is not."""
        check = self._check(name)
        if check.state != "ok":
            found = "is missing" if check.state == "missing" else "has another sha256 than its config says"
            raise ModelError(
                f"model {self.name}: {check.path} {found}; expected {check.size} bytes, sha256 {check.sha256[:12]}...; "
                "install the model again ('unprompt models verify' lists every file)"
            )
        return check.path

    def verify(self) -> list[FileCheck]:
        """Checks every file."""
        return [self._check(name) for name in self.config["files"]]

    def identity(self) -> str:
        """A short hash of the promised content: changes whenever any file does."""
        return hashlib.sha256(json.dumps(self.config["files"], sort_keys=True).encode()).hexdigest()[:12]

    def _check(self, name: str) -> FileCheck:
        promised = self.config["files"].get(name)
        if promised is None:
            raise ModelError(f"{self.path / CONFIG} does not say size and sha256 of {name}")
        path, size, sha256 = self.path / name, promised["size"], promised["sha256"]
        if not path.is_file():
            return FileCheck(path, size, sha256, "missing")
        intact = path.stat().st_size == size and file_sha256(path) == sha256
        return FileCheck(path, size, sha256, "ok" if intact else "damaged")


def file_sha256(path: Path) -> str:
    """The hash of a file of any size, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_config(path: Path, config: Mapping[str, Any], files: Iterable[str]) -> ModelFolder:
    """Writes `config.json` for the files that lie in `path`, with their sizes and hashes."""
    promised = {
        name: {"size": (path / name).stat().st_size, "sha256": file_sha256(path / name)} for name in sorted(files)
    }
    text = json.dumps({**config, "files": promised}, indent=2, ensure_ascii=False)
    (path / CONFIG).write_text(text + "\n", encoding="utf-8")
    return ModelFolder.open(path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty folder to write a model into; it takes the place of `path` when the block ends well.

    Raises ModelError where `path` holds anything but a model, since nothing else is ever removed; DataError where no
    folder can be made there.
    """
    check_replaceable(path)
    with replacing_folder(path) as new:
        yield new


def check_replaceable(path: Path) -> None:
    """Raises ModelError where a path holds anything but a model, which `replacing` would not remove."""
    path = surviving_folder(path)
    if not path.exists():
        return
    names = {file.name for file in path.iterdir()} if path.is_dir() else {path.name}
    if not names:
        return
    own = {CONFIG, CARD, *ModelFolder.open(path).config["files"]} if CONFIG in names else set()
    if others := sorted(names - own):
        raise ModelError(f"expected a new folder or one with a model alone at {path}, found {', '.join(others[:4])}")
