"""A preset: which members vote with which weights, and what words the answer. A TOML file, read and checked.

    description = "..."              # one line, for people
    requires = ["torch"]             # extras that must be installed; may be left out

    [[members]]                      # one or more
    kind = "regressor"
    model = "vit_tiny_patch16_224.unprompt"
    weight = 1.0                     # positive; the weights of all members are brought to a sum of 1
    name = "regressor"               # by which votes are known; left out: the kind

    [wording]
    decoder = "sentence_decoder.unprompt"

A model is named, or pointed at with `local:PATH` (relative to the working folder).
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unprompt.errors import DataError, MissingExtraError, UnknownNameError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRESETS = Path(__file__).with_suffix("")
DEFAULT_PRESET = "embedded"
SUFFIX = ".toml"

MEMBER_KINDS = ("regressor",)

_PRESET_KEYS = ("description", "requires", "members", "wording")
_MEMBER_KEYS = ("kind", "model", "weight", "name")
_WORDING_KEYS = ("decoder",)

# What shows that an extra is installed.
_EXTRAS = {"torch": "torch"}


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """One member of the ensemble. `weight` is its share of the vote, above 0 and at most 1."""

    name: str
    kind: str
    model: str
    weight: float


@dataclass(frozen=True, slots=True)
class WordingSpec:
    """What turns the fused vector into words: the name of the decoder's model."""

    decoder: str


@dataclass(frozen=True, slots=True)
class Preset:
    """A checked preset. The weights of its members sum to 1; `identity` is a short hash of the file."""

    name: str
    path: Path
    identity: str
    description: str
    requires: tuple[str, ...]
    members: tuple[MemberSpec, ...]
    wording: WordingSpec

    def check_extras(self) -> None:
        """Raises MissingExtraError where the preset needs an extra that is not installed."""
        for extra in self.requires:
            if not _installed(_EXTRAS[extra]):
                raise MissingExtraError(f"the preset {self.name!r}", extra)

    def models(self) -> tuple[str, ...]:
        """The names of all models that the preset uses, without the sentence encoder, which every preset uses."""
        return (*(member.model for member in self.members), self.wording.decoder)


def preset_names() -> tuple[str, ...]:
    """The presets of the package, by name."""
    return tuple(sorted(path.stem for path in PRESETS.glob(f"*{SUFFIX}")))


def load_preset(name_or_file: str | Path) -> Preset:
    """The preset of that name, or in that file, whose name must end in .toml.

    Raises UnknownNameError (preset, key or member kind, with the nearest known one) or DataError.
    """
    path = preset_path(name_or_file)
    try:
        data = path.read_bytes()
        table = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise DataError(f"expected a preset (TOML) at {path}: {error.strerror}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"the preset {path} is not TOML: {error}") from error
    return _preset(table, path, hashlib.sha256(data).hexdigest()[:12])


def preset_path(name_or_file: str | Path) -> Path:
    """Where the preset lies. Raises UnknownNameError for a name that no preset has."""
    if str(name_or_file).endswith(SUFFIX):
        return Path(name_or_file)
    if str(name_or_file) not in preset_names():
        raise UnknownNameError("preset", str(name_or_file), preset_names())
    return PRESETS / f"{name_or_file}{SUFFIX}"


def _preset(table: Mapping[str, Any], path: Path, identity: str) -> Preset:
    where = f"preset {path.name}"
    _check_keys(table, _PRESET_KEYS, where)
    wording = _value(table, "wording", dict, where)
    _check_keys(wording, _WORDING_KEYS, f"[wording] of {where}")
    return Preset(
        name=path.stem,
        path=path,
        identity=identity,
        description=_value(table, "description", str, where, default=""),
        requires=_requires(table, where),
        members=_members(table, where),
        wording=WordingSpec(decoder=_value(wording, "decoder", str, f"[wording] of {where}")),
    )


def _requires(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    extras = _value(table, "requires", list, where, default=[])
    for extra in extras:
        if extra not in _EXTRAS:
            raise UnknownNameError(f"extra in {where}", str(extra), _EXTRAS)
    return tuple(extras)


def _members(table: Mapping[str, Any], where: str) -> tuple[MemberSpec, ...]:
    entries = _value(table, "members", list, where)
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{where}: expected one [[members]] or more, found {entries!r}")
    specs = [_member(entry, f"[[members]] {number} of {where}") for number, entry in enumerate(entries, start=1)]
    names = [spec.name for spec in specs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"{where}: two members are called {min(twice)!r}; give each a name of its own")
    total = sum(spec.weight for spec in specs)
    return tuple(MemberSpec(spec.name, spec.kind, spec.model, spec.weight / total) for spec in specs)


def _member(entry: Mapping[str, Any], where: str) -> MemberSpec:
    """A member with the weight as it is written."""
    _check_keys(entry, _MEMBER_KEYS, where)
    kind = _value(entry, "kind", str, where)
    if kind not in MEMBER_KINDS:
        raise UnknownNameError(f"kind in {where}", kind, MEMBER_KINDS)
    return MemberSpec(
        name=_value(entry, "name", str, where, default=kind),
        kind=kind,
        model=_value(entry, "model", str, where),
        weight=_weight(entry, where),
    )


def _weight(entry: Mapping[str, Any], where: str) -> float:
    weight = entry.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
        raise DataError(f"{where}: expected a weight above 0, found {weight!r}")
    return float(weight)


def _check_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UnknownNameError(f"key in {where}", key, known)


def _value(table: Mapping[str, Any], key: str, kind: type, where: str, *, default: Any = None) -> Any:
    value = table.get(key, default)
    if value is None:
        raise DataError(f"{where} lacks {key!r}")
    if not isinstance(value, kind):
        raise DataError(f"{where}: expected {key} to be a {kind.__name__}, found {value!r}")
    return value


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # ValueError: it was taken out of sys.modules
        return False
