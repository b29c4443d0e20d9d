"""A training recipe: a TOML file whose every key is known, with `key=value` overrides from the command line."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from unprompt.errors import DataError, UnknownNameError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Section = TypeVar("Section")

RUN_RECIPE = "recipe.json"
"""Where the folder of a run keeps its recipe."""
PRECISIONS = ("bf16", "fp32")
TASKS = ("regressor", "decoder")


@dataclass(frozen=True)
class Optimisation:
    """How the loop turns losses into weights. Defaults are what small models on few pairs like best."""

    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 1e-4
    final_learning_rate: float = 0.0  # cosine decay ends here
    warmup: float = 0.05  # share of all steps
    weight_decay: float = 0.05
    layer_decay: float = 1.0  # each block's rate is this times that of the block above
    ema: float = 0.0  # decay of the moving average of weights; 0 turns it off
    clip: float = 1.0  # largest gradient norm
    precision: str = "bf16"  # or "fp32"; bf16 is slower on CPUs that have no bf16 units
    seed: int = 0
    evaluations: int = 0  # in the whole run; 0: one an epoch
    checkpoint_minutes: float = 5.0


@dataclass(frozen=True)
class RegressorRecipe:
    """The picture-to-vector regressor: data, backbone, head, loss, augmentation."""

    train: str = "../shared/data/pairs/train.jsonl"
    validation: str = "../shared/data/pairs/val.jsonl"
    backbone: str = "vit_tiny_patch16_224"
    start_weights: str = ""  # safetensors with the backbone's own names; empty: random
    input_size: int = 224
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    hidden: int = 1024  # of the head's perceptron
    head_dropout: float = 0.0
    drop_path: float = 0.0
    frozen_blocks: int = 0  # from the bottom, with what lies before them
    group_balance: float = 0.0  # a picture is drawn in proportion to 1 / (size of its group of prompts) ** this
    photo_weight: float = 1.0  # of photos in drawing, relative to generated pictures
    contrastive: float = 0.0  # weight of the in-batch contrastive term
    temperature: float = 0.1  # of the contrastive term
    crop_scale: float = 1.0  # smallest share of the area that a random crop keeps
    colour: float = 0.0  # largest relative change of brightness, contrast and saturation


@dataclass(frozen=True)
class DecoderRecipe:
    """The vector-to-sentence decoder: texts, tokenizer, network."""

    texts: tuple[str, ...] = ("../shared/data/prompts/train.txt", "../shared/data/pairs/train.jsonl")
    validation: str = "../shared/data/prompts/val.txt"
    vocabulary_size: int = 8192
    max_length: int = 72
    width: int = 256
    depth: int = 5
    heads: int = 4
    dropout: float = 0.0
    recombined: int = 0  # texts made by joining parts of two prompts, added to the real ones
    noise: float = 0.0  # largest length of a random vector added to the unit vectors
    neighbours: int = 0  # nearest texts whose vectors are mixed in, as a picture's fused vector mixes what it could be
    start_weights: str = ""


@dataclass(frozen=True)
class Recipe:
    """One training run. `task` says which of the two model sections is used."""

    task: str
    name: str  # of the model folder that it makes
    optimisation: Optimisation = Optimisation()
    probe: Optimisation = Optimisation(epochs=0)  # of the regressor's head alone, before the optimisation
    regressor: RegressorRecipe = RegressorRecipe()
    decoder: DecoderRecipe = DecoderRecipe()


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in `path` with `section.key=value` overrides applied, values written as in TOML.

    Raises DataError for a file that is no recipe and UnknownNameError for a key that no recipe has.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"expected a recipe (TOML) at {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _apply(table, override)
    return recipe_from_table(table, str(path))


def recipe_from_table(table: Mapping[str, Any], where: str) -> Recipe:
    """The recipe that a parsed file holds; `where` names the file in errors (see `read_recipe`)."""
    recipe = _section(Recipe, table, where)
    if recipe.task not in TASKS:
        raise UnknownNameError("task", recipe.task, TASKS)
    for name in ("optimisation", "probe"):
        _check(getattr(recipe, name), f"{where}: {name}")
    return recipe


def recipe_of_run(folder: Path) -> Recipe:
    """The recipe that a run was started with. Raises DataError for a folder that is none of a run."""
    path = folder / RUN_RECIPE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"expected the folder of a training run at {folder}: {error}") from error
    if not isinstance(table, dict):
        raise DataError(f"expected the folder of a training run at {folder}: {path} holds no recipe")
    return recipe_from_table(table, str(path))


def _check(options: Optimisation, where: str) -> None:
    if options.precision not in PRECISIONS:
        raise UnknownNameError(f"precision in {where}", options.precision, PRECISIONS)
    for key, least in (("batch_size", 1), ("epochs", 0), ("evaluations", 0)):
        value = getattr(options, key)
        if value < least:
            raise DataError(f"{where}: {key}: expected {least} or more, found {value}")


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
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise UnknownNameError(f"key in {where}", key, fields)
        values[key] = _value(fields[key], value, f"{where}: {key}")
    missing = [name for name, field in fields.items() if name not in values and field.default is dataclasses.MISSING]
    if missing:
        raise DataError(f"{where} lacks {', '.join(missing)}")
    return kind(**values)


def _value(field: dataclasses.Field[Any], value: Any, where: str) -> Any:
    default = "" if field.default is dataclasses.MISSING else field.default
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        if not isinstance(value, dict):
            raise DataError(f"{where}: expected a section of keys, found {value!r}")
        return _section(type(default), value, where)
    if isinstance(default, tuple):
        if not isinstance(value, list):
            raise DataError(f"{where}: expected a list, found {value!r}")
        return tuple(_plain_value(default[0], item, where) for item in value)
    return _plain_value(default, value, where)


def _plain_value(like: Any, value: Any, where: str) -> Any:
    """A number or text of the type that `like` has; whole numbers pass for others."""
    if isinstance(like, float) and type(value) is int:
        return float(value)
    if type(value) is not type(like):
        raise DataError(f"{where}: expected {_KINDS[type(like)]}, found {value!r}")
    return value


_KINDS: Mapping[type, str] = {str: "a text", int: "a whole number", float: "a number"}
