"""A preset: which members vote with which weights, and what words the answer. A TOML file, read and checked.

    description = "..."              # one line, for people
    requires = ["torch"]             # extras that must be installed; may be left out
    take_turns = true                # members leave the device after their votes; left out: where it has no room

    [[members]]                      # one or more
    kind = "regressor"
    model = "vit_tiny_patch16_224.unprompt"
    weight = 1.0                     # positive; the weights of all members are brought to a sum of 1
    name = "regressor"               # by which votes are known; left out: the kind
    views = ["whole", "mirrored"]    # averaged; left out: those that the model's config names

    [[members]]
    kind = "interrogator"
    model = "ViT-L-14.openai"        # a two-tower model; "embedded" is the pair of the package
    mode = "classic"                 # and whatever else INTERROGATOR_OPTIONS names

    [[members]]
    kind = "neighbours"
    model = "embedded"               # the two-tower model that the bank was built with
    bank = "prompts.bank"            # a folder that `unprompt bank build` made
    k = 100                          # and whatever else NEIGHBOURS_OPTIONS names

    [[members]]
    kind = "captioner"
    model = "ofa-large-caption"      # a captioner's name, or local:FOLDER
    suffix = ", masterpiece"         # and whatever else CAPTIONER_OPTIONS names

    [wording]                        # left out: the answer is the member's text that is nearest to the fused vector
    decoder = "sentence_decoder.unprompt"

    [codebook]                       # left out: the vector of an answer is the fused one
    model = "prompt_codebook.unprompt"
    share = 0.3                      # what it counts in the vector of an answer, 0 to 1
    sharpness = 20                   # how far the nearest of it outweigh the others, above 0

A model folder is named, or pointed at with `local:PATH` (relative to the working folder).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

REGRESSOR, INTERROGATOR, NEIGHBOURS, CAPTIONER = "regressor", "interrogator", "neighbours", "captioner"
MEMBER_KINDS = (REGRESSOR, INTERROGATOR, NEIGHBOURS, CAPTIONER)

REGRESSOR_OPTIONS: Mapping[str, type] = {"views": list}
"""Which views of a picture are averaged, in place of those that the model's config names."""

INTERROGATOR_OPTIONS: Mapping[str, type] = {
    "weights": str,
    "mode": str,
    "caption": str,
    "vocabulary": list,
    "without": list,
    "exclude": str,
    "cache": str,
    "negative": bool,
    "gains": bool,
    "min_terms": int,
    "max_terms": int,
    "candidates": int,
    "max_tokens": int,
}
"""See `unprompt.interrogation`: what opens an interrogator, and its settings."""

NEIGHBOURS_OPTIONS: Mapping[str, type] = {"bank": str, "weights": str, "k": int, "power": float, "approximate": bool}
"""See `unprompt.members.neighbours`; a bank there must be."""

CAPTIONER_OPTIONS: Mapping[str, type] = {
    "weights": str,
    "question": str,
    "beams": int,
    "min_length": int,
    "max_length": int,
    "no_repeat_ngram_size": int,
    "length_penalty": float,
    "suffix": str,
    "batch_size": int,
}
"""See `unprompt.captioners.opening`: where its weights are, and its settings."""

_OPTIONS: Mapping[str, Mapping[str, type]] = {
    REGRESSOR: REGRESSOR_OPTIONS,
    CAPTIONER: CAPTIONER_OPTIONS,
    INTERROGATOR: INTERROGATOR_OPTIONS,
    NEIGHBOURS: NEIGHBOURS_OPTIONS,
}
_WORDY = (INTERROGATOR, NEIGHBOURS, CAPTIONER)
"""Kinds of members that offer texts."""

_LARGEST_NUMBER = 1_000_000
"""Of all that presets hold; sums and products of such numbers stay numbers."""

SHARPNESS_LIMIT = 1000
"""From there on the nearest vector of a codebook counts alone."""

_PRESET_KEYS = ("description", "requires", "take_turns", "members", "wording", "codebook")
_MEMBER_KEYS = ("kind", "model", "weight", "name")
_WORDING_KEYS = ("decoder",)
_CODEBOOK_KEYS = ("model", "share", "sharpness")

# What shows that an extra is installed.
_EXTRAS = {"torch": "torch"}


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """One member of the ensemble. `weight` is its share of the vote, above 0 and at most 1; `options` its kind's."""

    name: str
    kind: str
    model: str
    weight: float
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class WordingSpec:
    """What turns the fused vector into words: the name of the decoder's model."""

    decoder: str


@dataclass(frozen=True, slots=True)
class CodebookSpec:
    """What the fused vector is drawn towards: the name of a codebook's model.

    `share`, 0 to 1, is what it counts in the vector of an answer; `sharpness`, above 0 and at most `SHARPNESS_LIMIT`,
    how far the nearest of it outweigh the others. See `unprompt.answer.codebook`.
    """

    model: str
    share: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class Preset:
    """A checked preset. The weights of its members sum to 1; `identity` is a short hash of `text`, which is TOML.

    `take_turns`: no two members are asked at once, and each leaves the device after its votes; without it they begin to
    where the device has no room.
    """

    name: str
    text: str
    identity: str
    description: str
    requires: tuple[str, ...]
    take_turns: bool
    members: tuple[MemberSpec, ...]
    wording: WordingSpec | None
    codebook: CodebookSpec | None

    def check_extras(self) -> None:
        """Raises MissingExtraError where the preset needs an extra that is not installed."""
        for extra in self.requires:
            if not is_installed(_EXTRAS[extra]):
                raise MissingExtraError(f"the preset {self.name!r}", extra)

    def models(self) -> tuple[str, ...]:
        """The names of all model folders that it needs, without the sentence encoder, which every preset uses."""
        decoder = () if self.wording is None else (self.wording.decoder,)
        codebook = () if self.codebook is None else (self.codebook.model,)
        return (*(member.model for member in self.members if member.kind == REGRESSOR), *decoder, *codebook)


def preset_names() -> tuple[str, ...]:
    """The presets of the package, by name."""
    return tuple(sorted(path.stem for path in PRESETS.glob(f"*{SUFFIX}")))


def load_preset(name_or_file: str | Path) -> Preset:
    """The preset of that name, or in that file, whose name must end in .toml.

    Raises UnknownNameError (preset, key or member kind, with the nearest known one) or DataError.
    """
    path = preset_path(name_or_file)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(f"expected a preset (TOML) at {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"the preset {path} is not TOML: {error}") from error
    return read_preset(text, str(path))


def read_preset(text: str, path: str) -> Preset:
    """The preset that a TOML text is; `path` is where it lies, or would. Raises as `load_preset` does."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits as well
        raise DataError(f"the preset {path} is not TOML: {error}") from error
    return _preset(table, text, Path(path))


def to_toml(table: Mapping[str, Any], path: str = "") -> str:
    """A table of what presets hold as TOML: texts, numbers, lists of these, tables and lists of tables."""
    plain = {key: value for key, value in table.items() if not _is_tables(value)}
    lines = [f"{key} = {_toml_value(value)}\n" for key, value in plain.items()]
    for key, value in table.items():
        if _is_tables(value):
            left, right = ("[", "]") if isinstance(value, Mapping) else ("[[", "]]")
            for inner in [value] if isinstance(value, Mapping) else value:
                lines.append(f"\n{left}{path}{key}{right}\n{to_toml(inner, f'{path}{key}.')}")
    return "".join(lines)


def preset_path(name_or_file: str | Path) -> Path:
    """Where the preset lies. Raises UnknownNameError for a name that no preset has."""
    if str(name_or_file).endswith(SUFFIX):
        return Path(name_or_file)
    if str(name_or_file) not in preset_names():
        raise UnknownNameError("preset", str(name_or_file), preset_names())
    return PRESETS / f"{name_or_file}{SUFFIX}"


def _preset(table: Mapping[str, Any], text: str, path: Path) -> Preset:
    where = f"preset {path.name}"
    _check_keys(table, _PRESET_KEYS, where)
    members = _members(table, where)
    return Preset(
        name=path.stem,
        text=text,
        identity=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12],
        description=_value(table, "description", str, where, default=""),
        requires=_requires(table, where),
        take_turns=_value(table, "take_turns", bool, where, default=False),
        members=members,
        wording=_wording(table, members, where),
        codebook=_codebook(table, where) if "codebook" in table else None,
    )


def _wording(table: Mapping[str, Any], members: Sequence[MemberSpec], where: str) -> WordingSpec | None:
    if "wording" not in table:
        if not any(member.kind in _WORDY for member in members):
            raise DataError(f"{where} lacks 'wording', and no member offers texts; add [wording] with a decoder")
        return None
    where = f"[wording] of {where}"
    wording = _value(table, "wording", dict, where)
    _check_keys(wording, _WORDING_KEYS, where)
    return WordingSpec(_value(wording, "decoder", str, where))


def _codebook(table: Mapping[str, Any], where: str) -> CodebookSpec:
    codebook = _value(table, "codebook", dict, where)
    where = f"[codebook] of {where}"
    _check_keys(codebook, _CODEBOOK_KEYS, where)
    spec = CodebookSpec(
        model=_value(codebook, "model", str, where),
        share=_value(codebook, "share", float, where),
        sharpness=_value(codebook, "sharpness", float, where),
    )
    if not 0 <= spec.share <= 1 or not 0 < spec.sharpness <= SHARPNESS_LIMIT:
        raise DataError(
            f"{where}: expected a share from 0 to 1 and a sharpness above 0 and at most {SHARPNESS_LIMIT:,}, found "
            f"{_shown(spec.share)} and {_shown(spec.sharpness)}"
        )
    return spec


def _requires(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    extras = _texts(table, "requires", where)
    for extra in extras:
        if extra not in _EXTRAS:
            raise UnknownNameError(f"extra in {where}", extra, _EXTRAS)
    return tuple(extras)


def _members(table: Mapping[str, Any], where: str) -> tuple[MemberSpec, ...]:
    entries = _value(table, "members", list, where)
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{where}: expected one [[members]] or more, found {_shown(entries)}")
    specs = [_member(entry, f"[[members]] {number} of {where}") for number, entry in enumerate(entries, start=1)]
    names = [spec.name for spec in specs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"{where}: two members are called {min(twice)!r}; give each a name of its own")
    total = sum(spec.weight for spec in specs)
    return tuple(replace(spec, weight=spec.weight / total) for spec in specs)


def _member(entry: Mapping[str, Any], where: str) -> MemberSpec:
    """A member with the weight as it is written."""
    kind = _value(entry, "kind", str, where)
    if kind not in MEMBER_KINDS:
        raise UnknownNameError(f"kind in {where}", kind, MEMBER_KINDS)
    options = _OPTIONS[kind]
    _check_keys(entry, (*_MEMBER_KEYS, *options), where)
    return MemberSpec(
        name=_value(entry, "name", str, where, default=kind),
        kind=kind,
        model=_value(entry, "model", str, where),
        weight=_weight(entry, where),
        options={key: _option(entry, key, kind_of, where) for key, kind_of in options.items() if key in entry},
    )


def _option(entry: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    return _texts(entry, key, where) if kind is list else _value(entry, key, kind, where)


def _texts(table: Mapping[str, Any], key: str, where: str) -> list[str]:
    texts: list[str] = _value(table, key, list, where, default=[])
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where}: expected {key} to be a list of texts, found {_shown(texts)}")
    return texts


def _weight(entry: Mapping[str, Any], where: str) -> float:
    weight = entry.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight <= _LARGEST_NUMBER:
        raise DataError(f"{where}: expected a weight above 0 and up to {_LARGEST_NUMBER:,}, found {_shown(weight)}")
    return float(weight)


def _check_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UnknownNameError(f"key in {where}", key, known)


def _value(table: Mapping[str, Any], key: str, kind: type, where: str, *, default: Any = None) -> Any:
    value = table.get(key, default)
    if value is None:
        raise DataError(f"{where} lacks {key!r}")
    if isinstance(value, (int, float)) and not abs(value) <= _LARGEST_NUMBER:  # NaN neither
        raise DataError(f"{where}: expected {key} to be at most {_LARGEST_NUMBER:,}, found {_shown(value)}")
    if kind is float and isinstance(value, int):
        value = value if isinstance(value, bool) else float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DataError(f"{where}: expected {key} to be a {kind.__name__}, found {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # TOML has hexadecimal numbers, and Python shows none that has thousands of digits
        return "numbers of thousands of digits"


def is_installed(module: str) -> bool:
    """Whether a package can be imported, by the name of its module; it is not."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # ValueError: it was taken out of sys.modules
        return False


def _is_tables(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _toml_value(value: Any) -> str:
    # JSON writes all these as TOML does, but for one control character that it leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
