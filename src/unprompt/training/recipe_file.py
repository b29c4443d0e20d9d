"""Recipes on disk: TOML whose every key is known, with `key=value` overrides from the command line."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from unprompt.errors import DataError, UnknownNameError
from unprompt.training.recipe import RUN_RECIPE, Bounds, Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Section = TypeVar("Section")

_KINDS: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in `path` with `section.key=value` overrides applied, values written as in TOML.

    Raises DataError for a file that is no recipe or a value out of bounds, and UnknownNameError for a key or a choice
    that no recipe has.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"expected a recipe (TOML) at {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _apply(table, override)
    return recipe_from_table(table, str(path))


def recipe_from_table(table: Mapping[str, Any], where: str) -> Recipe:
    """The recipe that a parsed file holds; `where` names the file in errors (see `read_recipe`)."""
    return _section(Recipe, table, where)


def recipe_of_run(folder: Path) -> Recipe:
    """The recipe that a run was started with. Raises DataError for a folder that is none of a run."""
    path = folder / RUN_RECIPE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"expected the folder of a training run at {folder}, found no {RUN_RECIPE} in it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"expected the folder of a training run at {folder}: {error}") from error
    if not isinstance(table, dict):
        raise DataError(f"expected the folder of a training run at {folder}: {path} holds no recipe")
    return recipe_from_table(table, str(path))


def _apply(table: dict[str, Any], override: str) -> None:
    key, equals, written = override.partition("=")
    if not equals:
        raise DataError(f"expected key=value, found {override!r}; write for example optimisation.epochs=3")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written  # a bare word is a string: nobody quotes twice on a command line
    *sections, last = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise DataError(f"{override!r}: {section!r} is a value, not a section")
    table[last] = value


def _section(kind: type[Section], table: Mapping[str, Any], where: str) -> Section:
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            raise UnknownNameError(f"key in {where}", key, hints)
        values[key] = _value(hints[key], value, key, where)
    needed = [field.name for field in dataclasses.fields(kind) if _is_needed(field)]  # type: ignore[arg-type]
    if missing := [name for name in needed if name not in values]:
        raise DataError(f"{where} lacks {', '.join(missing)}")
    return kind(**values)


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, key: str, where: str) -> Any:
    """The value as the type that the section declares for it."""
    if get_origin(hint) is Annotated:
        plain, bounds = get_args(hint)
        return _bounded(_value(plain, value, key, where), bounds, key, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise DataError(f"{where}: {key}: expected a section of keys, found {value!r}")
        return _section(hint, value, f"{where}: {key}")
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise DataError(f"{where}: {key}: expected a list, found {value!r}")
        return tuple(_value(get_args(hint)[0], item, key, where) for item in value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise UnknownNameError(f"{key} in {where}", str(value), get_args(hint))
        return value
    if get_origin(hint) is not None:  # a table whose keys the network checks
        if not isinstance(value, dict):
            raise DataError(f"{where}: {key}: expected a table, found {value!r}")
        return value
    return _plain(hint, value, key, where)


def _plain(kind: type, value: Any, key: str, where: str) -> Any:
    """A text or a number of that type; whole numbers pass for others."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise DataError(f"{where}: {key}: expected {_KINDS[kind]}, found {value!r}")
    return value


def _bounded(value: float, bounds: Bounds, key: str, where: str) -> float:
    if bounds.least <= value <= bounds.most:
        return value
    limit = f"{bounds.least:g} or more" if bounds.most == float("inf") else f"{bounds.least:g} to {bounds.most:g}"
    raise DataError(f"{where}: {key}: expected {limit}, found {value:g}")
