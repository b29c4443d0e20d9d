"""The files of a bank, and its config: which models made the vectors, and the size and hash of each file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from unprompt.checked import Bounds, read_both
from unprompt.display import printable
from unprompt.errors import DataError, UnpromptError
from unprompt.models.store.folder import FileSum
from unprompt.models.store.registry import EMBEDDED as EMBEDDED_FOLDER
from unprompt.models.store.registry import SENTENCE_ENCODER, find_model
from unprompt.prediction import EMBEDDING_SIZE
from unprompt.towers.embedded import NAME as EMBEDDED
from unprompt.towers.two_tower import TwoTower

CONFIG = "config.json"
PROMPTS, ENDS = "prompts.txt", "ends.u64"
BEGUN = "building.json"
"""Describes the bank while it is being built."""

NUMBER, CODE, PLACE = np.dtype("<f2"), np.dtype("i1"), np.dtype("<u8")
PACKAGED = EMBEDDED_FOLDER / "prompt_bank.unprompt"
"""The bank in the package: for similar prompts alone, never for an answer, since test sets use some of its prompts."""

LONGEST_PROMPT = 4096
"""Maximum length of a prompt in characters; no model reads half of that."""

Numbers = Literal["float16", "int8"]
_ENDINGS: Mapping[str, str] = {"float16": "f16", "int8": "i8"}

_LAYOUT = "unprompt bank 1"
_CONFIG_LIMIT = 1 << 20
_LARGEST_VECTOR = 1 << 16


@dataclass(frozen=True, slots=True)
class Makers:
    """The models that made a bank's vectors: a two-tower model by name, with its hashes, and the sentence encoder.

    `size` is the length of the two-tower model's vectors; `sentences` is the hash of the sentence encoder. `numbers`
    says how a vector's numbers are stored: see `Codes` for "int8".
    """

    model: str
    identities: Mapping[str, str]
    size: Annotated[int, Bounds(1, _LARGEST_VECTOR)]
    sentences: str
    numbers: Numbers = "float16"
    other_keys: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.metric and self.size != EMBEDDING_SIZE:
            raise DataError(f"expected size to be {EMBEDDING_SIZE}, found {self.size}")

    @classmethod
    def of(cls, towers: TwoTower, numbers: Numbers = "float16") -> Makers:
        """The makers of a bank that is built with this model now.

        For the embedded pair, only the sentence encoder counts, since any regressor may map pictures into its space.
        For other models, the weights count but not the precision, so that a bank built on a GPU can be used on a CPU.
        """
        encoder = find_model(SENTENCE_ENCODER)
        own = {encoder.name: encoder.identity()}
        identities = own if towers.name == EMBEDDED else dict(towers.weights_identities())
        return cls(towers.name, identities, towers.size, encoder.identity(), numbers)

    @property
    def metric(self) -> bool:
        """Whether pictures are compared with the sentence vectors themselves, which are then stored only once."""
        return self.model == EMBEDDED

    @property
    def number(self) -> np.dtype[Any]:
        """The type of a vector's numbers on disk."""
        return CODE if self.numbers == "int8" else NUMBER

    @property
    def sentences_file(self) -> str:
        """The file of the prompts' vectors in the metric space."""
        return f"sentences.{_ENDINGS[self.numbers]}"

    @property
    def compared_file(self) -> str:
        """The file of the vectors that pictures are compared with; it may be that of the sentences."""
        return self.sentences_file if self.metric else f"compared.{_ENDINGS[self.numbers]}"

    def row_bytes(self) -> dict[str, int]:
        """The bytes per row of each file with rows of fixed length."""
        return {
            ENDS: PLACE.itemsize,
            self.compared_file: self.size * self.number.itemsize,
            self.sentences_file: EMBEDDING_SIZE * self.number.itemsize,
        }

    def to_json(self) -> dict[str, Any]:
        """The makers as part of a config; `numbers` only if it is not the default, as in banks of earlier versions."""
        made = {"layout": _LAYOUT, **asdict(self), "identities": dict(self.identities)}
        if self.numbers == "float16":
            del made["numbers"]
        return made


@dataclass(frozen=True, slots=True)
class Config:
    """A finished bank: the number of its prompts, its makers, and its files by name."""

    prompts: int
    makers: Makers
    files: Mapping[str, FileSum]

    def to_json(self, card: Mapping[str, str] | None = None) -> str:
        """The content of the config file, with a `card` in front that no reader of banks needs."""
        files = {name: asdict(file) for name, file in sorted(self.files.items())}
        content = {**(card or {}), **self.makers.to_json(), "prompts": self.prompts, "files": files}
        return json.dumps(content, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class _Contents:
    """The parts of a config besides the makers."""

    prompts: Annotated[int, Bounds(0)]
    files: Mapping[str, FileSum]


def read_config(folder: Path) -> Config:
    """The config of a bank. Raises DataError if there is none, or if it is inconsistent."""
    where = printable(str(folder))
    if not (folder / CONFIG).is_file():
        if (folder / BEGUN).is_file():
            raise DataError(
                f"the bank {where} is half built; run the same 'unprompt bank build' again, and it goes on from there"
            )
        raise DataError(f"expected a bank with a {CONFIG} at {where}, found none; make one with 'unprompt bank build'")
    table = read_table(folder / CONFIG)
    try:
        makers, contents = read_both(Makers, _Contents, table, f"its {CONFIG}")
    except UnpromptError as error:
        raise _damaged(folder, str(error)) from error
    config = Config(contents.prompts, makers, contents.files)
    expected = {PROMPTS, *makers.row_bytes()}
    if set(config.files) != expected:
        raise _damaged(folder, f"expected the files {', '.join(sorted(expected))} in its {CONFIG}")
    for name, row in makers.row_bytes().items():
        if config.files[name].size != row * config.prompts:
            raise _damaged(folder, f"{name} has another size than {config.prompts:,} prompts take")
    return config


def read_table(path: Path) -> dict[str, Any]:
    """The JSON object in a small file. Raises DataError if it cannot be read or has another layout."""
    try:
        with path.open("rb") as file:
            table = json.loads(file.read(_CONFIG_LIMIT))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path.parent, f"its {path.name} is broken: {error}") from error
    if not isinstance(table, dict) or table.get("layout") != _LAYOUT:
        raise _damaged(path.parent, f"expected the layout {_LAYOUT!r} in its {path.name}")
    return table


def _damaged(folder: Path, reason: str) -> DataError:
    return DataError(f"the bank {printable(str(folder))} is damaged: {printable(reason)}; build it again")
