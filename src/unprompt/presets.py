"""A preset: which members vote with which weights, and what words the answer. A TOML file, read and checked.

    description = "..."              # one line, for people
    requires = ["torch"]             # optional: extras that must be installed
    take_turns = true                # optional: one member at a time on the GPU; default: only if it lacks room
    memory_gb = 2                    # optional, for people: the main memory that it takes, about
    score = "not measured here"      # optional, for people: how good it is, and who says so

    [[members]]                      # one or more
    kind = "regressor"
    model = "vit_tiny_patch16_224.unprompt"
    weight = 1.0                     # positive; the weights of all members are brought to a sum of 1
    name = "regressor"               # of its votes; default: the kind
    views = ["whole", "mirrored"]    # whose vectors are averaged; default: those that the model's config names

    [[members]]
    kind = "interrogator"
    model = "ViT-L-14.openai"        # a two-tower model; "embedded" is the pair of the package
    mode = "classic"                 # each kind has options of its own: see its file in unprompt.members

    [[members]]
    kind = "neighbours"
    model = "embedded"               # the two-tower model that the bank was built with
    bank = "prompts.bank"            # a folder that `unprompt bank build` made
    k = 100

    [[members]]
    kind = "server"
    model = "qwen3-vl:4b"            # as the server names it
    base_url = "http://127.0.0.1:11434/v1"

    [[members]]
    kind = "captioner"
    model = "ofa-large-caption"      # a captioner's name, or local:FOLDER
    suffix = ", masterpiece"

    [wording]                        # default: the answer is the member's text that is nearest to the fused vector
    decoder = "sentence_decoder.unprompt"
    style = "prompt"                 # or "sentence", or "tags"
    readable = 0.5                   # from 0, nearest to the vector, to 1, most readable

    [codebook]                       # default: the vector of an answer is the fused one
    model = "prompt_codebook.unprompt"
    share = 0.3                      # what it counts in the vector of an answer, 0 to 1
    sharpness = 20                   # how far the nearest of it outweigh the others, above 0

    [confidence]                     # written by `unprompt presets calibrate`; default: answers have no confidence

A model folder is named, or pointed at with `local:PATH` (relative to the working folder).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from unprompt.checked import Bounds, Faults, Length, read, read_both
from unprompt.errors import DataError, UnknownNameError, check_extra
from unprompt.members.kinds import find_kind
from unprompt.members.member import MemberSpec
from unprompt.prediction import Style

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRESETS = Path(__file__).with_suffix("")
DEFAULT_PRESET = "embedded"
SUFFIX = ".toml"

_Cosine = Annotated[float, Bounds(-1, 1)]


@dataclass(frozen=True, slots=True)
class WordingSpec:
    """The decoder that turns the fused vector into words, by the name of its model, and how it words them.

    `readable` goes from 0, the words nearest to the vector, to 1, those that read best.
    """

    decoder: str
    style: Style = "prompt"
    readable: Annotated[float, Bounds(0, 1)] = 0.5


@dataclass(frozen=True, slots=True)
class CodebookSpec:
    """The codebook towards which the fused vector is drawn, by the name of its model.

    `share` is its share in the vector of an answer; `sharpness` is how much the nearest vectors of the codebook
    outweigh the others: at 1,000 only the nearest counts. `unprompt.answer.codebook` has the formula.
    """

    model: str
    share: Annotated[float, Bounds(0, 1)]
    sharpness: Annotated[float, Bounds(0, 1000, "least")]


@dataclass(frozen=True, slots=True)
class ConfidenceSpec:
    """What the signs of an answer are worth; `unprompt presets calibrate` fits it.

    `unprompt.answer.confidence` has the signs. `codebook` names the model that they are measured by, and `fitted_to` is
    a hash of the members and models that all this holds for. The estimated cosine of an answer is `mean` plus, for each
    of the `signs`, its weight times its distance from its mean in standard deviations; `signs` hold (mean, standard
    deviation, weight). 80 % of true cosines are from `low` below the estimate to `high` above it. `blank` is (low,
    estimate, high) for pictures of nothing.
    """

    codebook: str
    fitted_to: str
    mean: _Cosine
    low: Annotated[float, Bounds(-2, 0)]
    high: Annotated[float, Bounds(0, 2)]
    blank: tuple[_Cosine, _Cosine, _Cosine]
    signs: Mapping[str, tuple[float, float, float]] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Preset:
    """A checked preset. The weights of its members sum to 1; `identity` is a short hash of `text`, which is TOML.

    With `take_turns` one member is asked at a time and leaves the device after its votes. Otherwise the members do so
    only once the device has no room for all of them. `memory_gb` (10^9 bytes, 0 if unknown) and `score` are for people.
    """

    name: str
    text: str
    identity: str
    description: str
    requires: tuple[str, ...]
    take_turns: bool
    members: tuple[MemberSpec[Any], ...]
    wording: WordingSpec | None
    codebook: CodebookSpec | None
    confidence: ConfidenceSpec | None = None
    memory_gb: float = 0.0
    score: str = ""

    def check_extras(self) -> None:
        """Raise MissingExtraError if the preset needs an extra that is not installed."""
        for extra in self.requires:
            check_extra(extra, f"the preset {self.name!r}")


@dataclass(frozen=True, slots=True)
class _Table:
    """A preset as it is written, with its members not yet read."""

    members: tuple[Mapping[str, Any], ...]
    description: str = ""
    requires: tuple[Literal["torch"], ...] = ()
    take_turns: bool = False
    memory_gb: Annotated[float, Bounds(0, 10_000)] = 0.0
    score: Annotated[str, Length(300)] = ""
    wording: WordingSpec | None = None
    codebook: CodebookSpec | None = None
    confidence: ConfidenceSpec | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """The key of a member that decides which other keys it may have."""

    other_keys = True
    kind: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """The keys that members of every kind have."""

    kind: str
    model: str
    weight: Annotated[float, Bounds(0, 1_000_000, "least")] = 1.0
    name: str = ""


def preset_names() -> tuple[str, ...]:
    """The names of the presets in the package."""
    return tuple(sorted(path.stem for path in PRESETS.glob(f"*{SUFFIX}")))


def load_preset(name_or_file: str | Path) -> Preset:
    """Load a preset by its name, or from a file whose name ends in .toml.

    Raises UnknownNameError with the nearest known name if the preset, a key or a kind of member is unknown, PluginError
    if another package's kind is broken, and DataError for everything else and for several faults at once.
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
    """Read a preset from TOML; `path` names it in messages. Raises as `load_preset` does."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits as well
        raise DataError(f"the preset {path} is not TOML: {error}") from error
    return _preset(table, text, Path(path))


def to_toml(table: Mapping[str, Any], path: str = "") -> str:
    """Write a table as TOML, for the values in presets: texts, numbers, lists of these, tables and lists of tables."""
    plain = {key: value for key, value in table.items() if not _is_tables(value)}
    lines = [f"{key} = {_toml_value(value)}\n" for key, value in plain.items()]
    for key, value in table.items():
        if _is_tables(value):
            left, right = ("[", "]") if isinstance(value, Mapping) else ("[[", "]]")
            for inner in [value] if isinstance(value, Mapping) else value:
                lines.append(f"\n{left}{path}{key}{right}\n{to_toml(inner, f'{path}{key}.')}")
    return "".join(lines)


def preset_path(name_or_file: str | Path) -> Path:
    """The path of a preset's file. Raises UnknownNameError for an unknown name."""
    if str(name_or_file).endswith(SUFFIX):
        return Path(name_or_file)
    if str(name_or_file) not in preset_names():
        raise UnknownNameError("preset", str(name_or_file), preset_names())
    return PRESETS / f"{name_or_file}{SUFFIX}"


def _preset(table: Mapping[str, Any], text: str, path: Path) -> Preset:
    where = f"preset {path.name}"
    faults = Faults()
    with faults:
        checked = read(_Table, table, where)
    with faults:
        members = _members(table, where)
    faults.raise_any()
    if checked.wording is None and not any(find_kind(member.kind).offers_texts for member in members):
        raise DataError(f"{where} lacks 'wording', and no member offers texts; add [wording] with a decoder")
    return Preset(
        name=path.stem,
        text=text,
        identity=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12],
        description=checked.description,
        requires=checked.requires,
        take_turns=checked.take_turns,
        members=members,
        wording=checked.wording,
        codebook=checked.codebook,
        confidence=checked.confidence,
        memory_gb=checked.memory_gb,
        score=checked.score,
    )


def _members(table: Mapping[str, Any], where: str) -> tuple[MemberSpec[Any], ...]:
    entries = table.get("members")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return ()  # `_Table` reports this
    specs = []
    faults = Faults()
    for number, entry in enumerate(entries, start=1):
        with faults:
            specs.append(_member(entry, f"[[members]] {number} of {where}"))
    faults.raise_any()
    if not specs:
        raise DataError(f"{where}: expected one [[members]] or more, found none")
    names = [spec.name for spec in specs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(f"{where}: two members are called {min(twice)!r}; give each a name of its own")
    total = sum(spec.weight for spec in specs)
    return tuple(replace(spec, weight=spec.weight / total) for spec in specs)


def _member(entry: Mapping[str, Any], where: str) -> MemberSpec[Any]:
    """Read a member; its weight is not yet scaled."""
    kind = read(_Kind, entry, where).kind
    head, options = read_both(_Entry, find_kind(kind, where).options, entry, where)
    return MemberSpec(head.name or kind, kind, head.model, head.weight, options)


def _is_tables(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _toml_value(value: Any) -> str:
    # JSON writes these values as TOML does, except for one control character that it does not escape.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
