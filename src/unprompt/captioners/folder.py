"""The folder of a captioner in transformers' layout, from the hub's cache or the user; no code in it is run.

It holds `config.json`, `preprocessor_config.json` (or `processor_config.json`), a tokenizer, perhaps a chat template,
and the weights in one file or in shards listed by an index: safetensors, or pytorch_model.bin if there are none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from unprompt.captioners.families import FAMILIES, other_than
from unprompt.errors import ModelError
from unprompt.models.store.folder import CONFIG, file_sha256
from unprompt.models.store.hub_cache import cached_file, is_offline

KINDS = ("blip", "blip-2", "git", *FAMILIES)
"""The supported values of a config's `model_type`."""

_NEEDED = (
    (CONFIG,),
    ("preprocessor_config.json", "processor_config.json"),
    ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model"),
)
"""One file of each group is needed; the first of the group is named or downloaded if all are missing."""

_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"
_INDEX = ".index.json"
_HUB_SAFE, _HUB_PICKLED = "*.safetensors", "pytorch_model*.bin"
_SMALL = ("*.json", "*.txt", "*.model", "*.jinja")
_LIMIT_MB = 16
_CODE = "auto_map"
"""The key of a config that names classes in the repository's own code."""

_READ_BY_US: tuple[object, ...] = ("florence2",)
"""Kinds whose configs may name code, as the publisher's do: it is never looked at, `florence` reads them itself."""


@dataclass(frozen=True, slots=True)
class CaptionFolder:
    """A complete folder. `safe`: its weights are safetensors."""

    path: Path
    config: Mapping[str, Any]
    safe: bool

    def identity(self) -> str:
        """A short hash that changes with any file: the hub's commit, or a hash over all files."""
        if self.path.parent.name == "snapshots":
            return self.path.name[:12]
        digest = hashlib.sha256()
        for pattern in (*_SMALL, _HUB_SAFE if self.safe else _HUB_PICKLED):
            for file in sorted(self.path.glob(pattern)):
                digest.update(f"{file.name} {file_sha256(file)}\n".encode())
        return digest.hexdigest()[:12]


class CaptionSource(Protocol):
    """Provides the folder of a captioner. `kind` is one of KINDS."""

    kind: str

    @property
    def folder(self) -> CaptionFolder:
        """The complete folder. Raises ModelError if it is not available."""


class LocalSource:
    """A folder of the user's. Raises ModelError if its config is not that of a supported captioner."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.kind = _kind(read_config(path), path)

    @cached_property
    def folder(self) -> CaptionFolder:
        if missing := _missing_files(self._path):
            raise ModelError(
                f"{self._path} is no whole captioner: expected {', '.join(missing)} beside {CONFIG}, found none; "
                "copy what the model was saved with"
            )
        return _open_folder(self._path)


class HubSource:
    """A repository of the hub; `name` is the captioner's name for users."""

    def __init__(self, name: str, kind: str, repository: str) -> None:
        self.kind = kind
        self._name, self._repository = name, repository

    @cached_property
    def folder(self) -> CaptionFolder:
        """The complete folder, downloaded if necessary. With HF_HUB_OFFLINE set, nothing is downloaded."""
        config = cached_file(self._repository, [CONFIG])
        path = None if config is None else config.parent
        missing = [*(choices[0] for choices in _NEEDED), _SAFE] if path is None else _missing_files(path)
        if path is None or missing:
            if is_offline():
                raise self._absence(missing, "the network is off (HF_HUB_OFFLINE): unset it once")
            path = self._fetch(missing)
        folder = _open_folder(path)
        if (kind := _kind(folder.config, path)) != self.kind:
            raise ModelError(f"{self._repository}: expected a model of the type {self.kind}, found {kind}")
        return folder

    def _fetch(self, missing: list[str]) -> Path:
        from unprompt.models.store.hub_download import bring_folder, logged

        try:
            path = bring_folder(self._repository, (*_SMALL, _HUB_SAFE), logged)
            if _missing_files(path) == [_SAFE]:  # an old repository without safetensors
                path = bring_folder(self._repository, (*_SMALL, _HUB_PICKLED), logged)
        except ModelError as error:
            raise self._absence(missing, str(error)) from error
        if missing := _missing_files(path):
            raise self._absence(missing, "the hub has no such files")
        return path

    def _absence(self, missing: list[str], way: str) -> ModelError:
        from huggingface_hub import constants

        return ModelError(
            f"the weights of {self._name} are not here: expected {', '.join(missing)} of {self._repository} in "
            f"{constants.HF_HUB_CACHE}; {way}, or name a folder that you have (local:FOLDER)"
        )


def read_config(path: Path) -> dict[str, Any]:
    """The `config.json` of a folder. Raises ModelError if it is missing or asks to run code."""
    if not (path / CONFIG).is_file():
        raise ModelError(f"expected a captioner's folder with a {CONFIG} at {path}, found none")
    config = _read_json(path / CONFIG)
    kind = config.get("model_type")
    if _names_code(config) and kind not in _READ_BY_US:
        raise ModelError(
            f"cannot read {path / CONFIG}: it asks to run code that came with the model ({_CODE}), which is never "
            f"done; take {other_than(kind)} in its place"
        )
    return config


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LIMIT_MB << 20:
            raise ModelError(f"{path} has more than {_LIMIT_MB} MB; expected a file that says what a model is")
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    if not isinstance(held, dict):
        raise ModelError(f"{path}: expected a table of names and values, found {type(held).__name__}")
    return held


def _names_code(config: Mapping[str, Any]) -> bool:
    """Whether a config names code at any depth: BLIP-2 opens the language model inside by its own config."""
    held: list[Any] = [config]
    while held:
        value = held.pop()
        if isinstance(value, dict):
            if _CODE in value:
                return True
            held += value.values()
        elif isinstance(value, list):
            held += value
    return False


def _kind(config: Mapping[str, Any], path: Path) -> str:
    kind = config.get("model_type")
    if kind not in KINDS:
        raise ModelError(f"{path / CONFIG}: expected a captioner, model_type {', '.join(KINDS)}; found {kind!r}")
    return str(kind)


def _open_folder(path: Path) -> CaptionFolder:
    return CaptionFolder(path, read_config(path), safe=_weights(path) == _SAFE)


def _weights(path: Path) -> str | None:
    """The weights file of a folder, or the name under which its index lists shards; None if it has neither."""
    for weights in (_SAFE, _PICKLED):
        if (path / weights).is_file() or (path / f"{weights}{_INDEX}").is_file():
            return weights
    return None


def _missing_files(path: Path) -> list[str]:
    """The files that a folder lacks, weights last."""
    missing = [choices[0] for choices in _NEEDED if not any((path / name).is_file() for name in choices)]
    weights = _weights(path)
    if weights is None:
        return [*missing, _SAFE]
    shards = [weights] if (path / weights).is_file() else _shards(path / f"{weights}{_INDEX}")
    return [*missing, *(shard for shard in shards if not (path / shard).is_file())]


def _shards(index: Path) -> list[str]:
    """The files listed by an index."""
    shards = _read_json(index).get("weight_map")
    names = set(shards.values()) if isinstance(shards, dict) else set()
    if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise ModelError(f"{index}: expected weight_map to name a file beside it for each weight")
    return sorted(names)
