"""Published models by name: which files each has, about how large they are, where they come from, their licence."""

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
    """A file by its names: the first that the repository has. `about_mb` (10^6 bytes) is no more than that."""

    names: tuple[str, ...]
    about_mb: float


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A model that somebody published.

    `repository` is the hub's; empty where no hub has it, and then the command `made_by` makes it out of what there is.
    `also` are patterns of small files that are taken along where the repository has them.
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
    """All that are known, by name."""
    models = read(_Table, tomllib.loads(_TABLE.read_text(encoding="utf-8")), _TABLE.name).models
    return {model.name: model for model in models}
