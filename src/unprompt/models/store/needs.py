"""What models need on disk: each file, whether it is present, its place, and how to get it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unprompt.errors import ModelError, UnpromptError
from unprompt.models.store.folder import CONFIG, ModelFolder
from unprompt.models.store.hub_cache import cache_place, cached_file, promised_sha256
from unprompt.models.store.published_models import PublishedFile, PublishedModel, published_models
from unprompt.models.store.registry import LOCAL, find_model, models_folder


@dataclass(frozen=True, slots=True)
class NeededFile:
    """A file or folder that a model needs. `place` is where it is or, if it is not `here`, where it belongs.

    `size` is in bytes, an estimate unless `exact`, and 0 if unknown. `sha256` is empty unless it is known without
    reading the file.
    """

    name: str
    place: Path
    here: bool
    size: int = 0
    exact: bool = False
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a member needs, complete or not: a model, a list, a bank. `way` says how to get what is missing.

    `hub` is the published model to download, None if there is none; `fault` is the error of opening it, if any;
    `is_folder` says whether it is a model folder, whose files `unprompt models verify` checks.
    """

    name: str
    files: tuple[NeededFile, ...]
    way: str = ""
    licence: str = ""
    hub: PublishedModel | None = None
    fault: UnpromptError | None = None
    is_folder: bool = False

    @property
    def missing(self) -> tuple[NeededFile, ...]:
        """The files that are missing."""
        return tuple(file for file in self.files if not file.here)

    @property
    def is_here(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def absence(self) -> UnpromptError:
        """The error that says what is missing and what to do."""
        first, *others = self.missing
        more = f" and {len(others)} more" if others else ""
        return self.fault or ModelError(
            f"{self.name} is not here: expected {first.name}{more} in {first.place.parent}; {self.way}"
        )


def folder_need(name: str) -> Need:
    """A model folder by name, or `local:PATH`."""
    place = Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else models_folder() / name
    try:
        folder = find_model(name)
        files = tuple(_promised(folder, file) for file in folder.config["files"])
    except UnpromptError as error:
        published = published_models().get(name)
        if published is None or isinstance(error, ModelError):
            return Need(name, (NeededFile(CONFIG, place / CONFIG, here=False),), fault=error, is_folder=True)
        lacking = tuple(_absent(file, place) for file in published.files)
        return Need(name, lacking, f"make it with '{published.made_by}'", published.licence, is_folder=True)
    return Need(name, files, "put the model there again", str(folder.config["licence"]), is_folder=True)


def file_need(name: str, path: Path, way: str, *, licence: str = "") -> Need:
    """A file or folder of the user."""
    return Need(name, (file_here(path) if path.exists() else NeededFile(path.name, path, here=False),), way, licence)


def package_need(module: str, package: str, licence: str) -> Need:
    """A Python package, found by the name of its module."""
    spec = importlib.util.find_spec(module)
    place = Path(spec.origin).parent if spec is not None and spec.origin else Path("site-packages") / module
    file = NeededFile(package, place, here=spec is not None)
    return Need(f"package {package}", (file,), f"pip install {package}", licence)


def hub_need(published: PublishedModel) -> Need:
    """A model on the hub, whose files may be in the hub's cache."""
    place = cache_place(published.repository)
    files = []
    for file in published.files:
        found = cached_file(published.repository, file.names)
        files.append(_absent(file, place) if found is None else file_here(found))
    way = f"'unprompt models fetch {published.name}' brings it"
    return Need(published.name, tuple(files), way, published.licence, published)


def _promised(folder: ModelFolder, name: str) -> NeededFile:
    """A file of a model folder by its config; its content is checked only by `unprompt models verify`."""
    promised, path = folder.config["files"][name], folder.path / name
    return NeededFile(name, path, path.is_file(), promised["size"], exact=True, sha256=promised["sha256"])


def _absent(file: PublishedFile, place: Path) -> NeededFile:
    return NeededFile(file.names[0], place / file.names[0], here=False, size=round(file.about_mb * 1e6))


def local_file(names: Sequence[str], place: Path) -> NeededFile:
    """A file of a folder under the first of its names that exists; if none does, under the first."""
    found = next((place / name for name in names if (place / name).is_file()), None)
    return NeededFile(names[0], place / names[0], here=False) if found is None else file_here(found)


def file_here(path: Path) -> NeededFile:
    """A file or folder that exists, with its size."""
    parts = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
    size = sum(part.stat().st_size for part in parts)
    return NeededFile(path.name, path, here=True, size=size, exact=True, sha256=promised_sha256(path))
