"""Finds models: in the package, in the user's models folder, or at a path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from unprompt.errors import ModelError, UnknownNameError
from unprompt.models.store.folder import CONFIG, ModelFolder

EMBEDDED = Path(__file__).parents[2] / "assets"
SENTENCE_ENCODER = "all-MiniLM-L6-v2.unprompt"
LOCAL = "local:"


def models_folder() -> Path:
    """The user's models folder: $UNPROMPT_MODELS, or `unprompt/models` in the user's cache."""
    chosen = os.environ.get("UNPROMPT_MODELS")
    return Path(chosen) if chosen else cache_folder("models")


def cache_folder(name: str) -> Path:
    """The folder `unprompt/NAME` in the user's cache: $XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unprompt" / name


def find_model(name: str) -> ModelFolder:
    """Open a model folder: `local:PATH`, or a name in the package or the user's models folder.

    Raises UnknownNameError (with the nearest known name) or ModelError.
    """
    if name.startswith(LOCAL):
        return ModelFolder.open(Path(name.removeprefix(LOCAL)))
    folders = {path.name: path for path in _folders()}
    if name not in folders:
        if os.sep in name and Path(name).exists():
            raise ModelError(f"a model is named, not pointed at; for a folder write {LOCAL}{name}")
        raise UnknownNameError("model", name, folders)
    return ModelFolder.open(folders[name])


def all_models() -> tuple[list[ModelFolder], list[ModelError]]:
    """Open every model of the package and the models folder, by name; returns them and the errors of the others."""
    models: list[ModelFolder] = []
    broken: list[ModelError] = []
    for path in sorted(_folders(), key=lambda path: path.name):
        try:
            models.append(ModelFolder.open(path))
        except ModelError as error:
            broken.append(error)
    return models, broken


def _folders() -> Iterator[Path]:
    # The package comes first, so that a user's model of the same name never replaces one unnoticed.
    seen: set[str] = set()
    for root in (EMBEDDED, models_folder()):
        for path in sorted(root.iterdir()) if root.is_dir() else ():
            if (path / CONFIG).is_file() and path.name not in seen:
                seen.add(path.name)
                yield path
