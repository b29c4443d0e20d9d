"""A model folder: weights that travel with all that is needed to use them.

`config.json` holds `name`, `architecture`, `files` (name -> size and sha256), `licence`, `origin`, `score` and, for
image models, `preprocessing`. Weights without a config are an error, not a guess.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unprompt.errors import ModelError

CONFIG = "config.json"
NEEDED_KEYS = ("name", "architecture", "files", "licence", "origin")


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
        """Reads the config. Raises ModelError where there is none, or one that lacks a key."""
        try:
            config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ModelError(f"expected a model folder with a {CONFIG} at {path}, found none") from error
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"cannot read {path / CONFIG}: {error}") from error
        lacking = [key for key in NEEDED_KEYS if not isinstance(config, dict) or key not in config]
        if lacking:
            raise ModelError(f"{path / CONFIG} lacks {', '.join(lacking)}; a model folder says all of {NEEDED_KEYS}")
        if not isinstance(config["files"], dict):
            raise ModelError(f"{path / CONFIG}: expected files to name each file with its size and sha256")
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
        try:
            promised = self.config["files"][name]
            size, sha256 = int(promised["size"]), str(promised["sha256"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.path / CONFIG} does not say size and sha256 of {name}") from error
        path = self.path / name
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
