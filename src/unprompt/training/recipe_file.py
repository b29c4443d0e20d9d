"""Recipe files: TOML with `key=value` overrides from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unprompt.checked import read
from unprompt.errors import DataError
from unprompt.training.recipe import RUN_RECIPE, Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides, with values in TOML syntax.

    Raises DataError for a file that is not a recipe or a value out of bounds, UnknownNameError for an unknown key or
    choice.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"expected a recipe (TOML) at {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits as well
        raise DataError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _apply(table, override)
    return read(Recipe, table, str(path))


def recipe_of_run(folder: Path) -> Recipe:
    """The recipe that a run was started with. Raises DataError if the folder is not that of a run."""
    path = folder / RUN_RECIPE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"expected the folder of a training run at {folder}, found no {RUN_RECIPE} in it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"expected the folder of a training run at {folder}: {error}") from error
    if not isinstance(table, dict):
        raise DataError(f"expected the folder of a training run at {folder}: {path} holds no recipe")
    return read(Recipe, table, str(path))


def _apply(table: dict[str, Any], override: str) -> None:
    key, equals, written = override.partition("=")
    if not equals:
        raise DataError(f"expected key=value, found {override!r}; write for example optimisation.epochs=3")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except ValueError:
        value = written  # a bare word is a string, since nobody quotes twice on a command line
    *sections, last = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise DataError(f"{override!r}: {section!r} is a value, not a section")
    table[last] = value
