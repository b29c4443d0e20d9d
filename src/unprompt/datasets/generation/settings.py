"""The settings that a folder of generated pairs was made with; a run can only continue with the same ones."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unprompt.display import printable
from unprompt.durable import create_file, write_errors
from unprompt.errors import DataError

RUN_FILE = "generation.json"
SCHEDULER = "dpmsolver++"

THEN = "finished shards are kept: mend that and give the same line again"
"""What to do if the folder cannot be written to."""

_PACKAGES = ("unprompt", "diffusers", "transformers", "torch")
_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True)
class Settings:
    """Everything that a picture depends on, and how pictures are stored. `size` and `save_size` are in pixels.

    `prompts` and `weights` are hashes; `weights` is None until the weights are loaded.
    """

    model: str
    precision: str
    steps: int
    guidance: float
    size: int
    save_size: int
    format: str
    prompts: str
    seeds: int
    shard_size: int
    weights: str | None = None
    scheduler: str = SCHEDULER


def check_folder(folder: Path, settings: Settings) -> None:
    """Raise DataError if a folder holds pairs made with other settings, or files that are not from a run of ours.

    Weights are compared only once they are known.
    """
    try:
        found = _read(folder / RUN_FILE)
        strangers = [] if found else [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise DataError(f"expected a folder to write to, found the file {printable(str(folder))}") from error
    except OSError as error:
        raise DataError(f"cannot read {printable(str(folder))}: {error.strerror}") from error
    if found is not None:
        _compare(folder, settings, found)
    elif strangers:
        raise DataError(
            f"expected a new or empty folder, or one with a {RUN_FILE}, found {printable(strangers[0])} in "
            f"{printable(str(folder))}; choose another -o"
        )


def join_folder(folder: Path, settings: Settings) -> list[str]:
    """Create the folder with its run file, or join a run that another process began there.

    Returns the differences in library versions. Raises DataError like `check_folder`, and if nothing can be written.
    """
    check_folder(folder, settings)
    versions = _versions()
    run = {"settings": asdict(settings), "versions": versions}
    with write_errors(folder, THEN):
        folder.mkdir(parents=True, exist_ok=True)
    if create_file(folder / RUN_FILE, (json.dumps(run, indent=2, ensure_ascii=False) + "\n").encode()):
        return []
    found = _read(folder / RUN_FILE)
    if found is None:
        raise DataError(f"{printable(str(folder / RUN_FILE))} was removed at this moment; run it again")
    _compare(folder, settings, found)
    theirs = found["versions"] if isinstance(found.get("versions"), dict) else {}
    return [
        f"{name} {printable(str(theirs.get(name)))} there, {version} here"
        for name, version in versions.items()
        if theirs.get(name) != version
    ]


def _compare(folder: Path, settings: Settings, found: Mapping[str, Any]) -> None:
    theirs = found["settings"]
    differences = [
        f"{name} {printable(str(theirs.get(name)))} there, {mine} here"
        for name, mine in asdict(settings).items()
        if mine is not None and theirs.get(name) != mine
    ]
    if differences:
        raise DataError(
            f"{printable(str(folder))} holds pairs made with other settings: {'; '.join(differences)}; give the same "
            "ones to go on, or another -o"
        )


def _read(path: Path) -> dict[str, Any] | None:
    """The content of a run file; None if there is none. Raises DataError if it is not a run file, OSError."""
    try:
        with path.open("rb") as file:
            run = json.loads(file.read(_LIMIT_BYTES))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise DataError(f"expected JSON in {printable(str(path))}, found: {error}; is it from another tool?") from error
    if not isinstance(run, dict) or not isinstance(run.get("settings"), dict):
        raise DataError(f"expected the settings of a run in {printable(str(path))}, found something else")
    return run


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
