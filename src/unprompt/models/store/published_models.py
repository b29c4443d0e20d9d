"""Published models by name: their files with approximate sizes, their origin and licence."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unprompt.checked import read

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TABLE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file, under the first of its `names` that the repository has. `about_mb` (10^6 bytes) is approximate."""

    names: tuple[str, ...]
    about_mb: float


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A published model.

    `repository` is its name on the hub; if it is empty, the command `made_by` makes the model from another file.
    `also` are patterns of small files that are downloaded too if the repository has them.
    """

    name: str
    licence: str
    files: tuple[PublishedFile, ...]
    repository: str = ""
    made_by: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Table:
    models: tuple[PublishedModel, ...]


@functools.cache
def published_models() -> Mapping[str, PublishedModel]:
    """All known published models, by name."""
    models = read(_Table, tomllib.loads(_TABLE.read_text(encoding="utf-8")), _TABLE.name).models
    return {model.name: model for model in models}
