"""A finished bank: opened at once, whatever its size, and searched exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unprompt.bank.codes import Codes
from unprompt.bank.layout import (
    ENDS,
    LONGEST_PROMPT,
    PACKAGED,
    PLACE,
    PROMPTS,
    Config,
    Makers,
    read_config,
)
from unprompt.bank.readahead import prefetch_rows
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.models.store.folder import file_sha256
from unprompt.models.store.registry import SENTENCE_ENCODER, find_model
from unprompt.prediction import EMBEDDING_SIZE, Vector
from unprompt.progress import Advance, no_advance
from unprompt.towers.two_tower import TwoTower
from unprompt.vocabulary.category import digest
from unprompt.vocabulary.ranking import nearest
from unprompt.vocabulary.vector_file import Half

_LONGEST_BYTES = 4 * LONGEST_PROMPT + 1
_NO_UNIT = "some of its vectors have no unit length"
_LENGTHENED = 0.01  # more than rounding to float16 changes a vector's length


class Nearest(NamedTuple):
    """The prompts nearest to a picture, nearest first: their rows in the bank, and their cosines with the picture."""

    rows: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bank:
    """Prompts and their vectors, all memory-mapped.

    `compared` (prompts, size) float16 are compared with pictures; the model that the config names computed them.
    `sentences` (prompts, 384) float16 are the prompts in the metric space. Both are of unit length up to rounding, and
    they may be the same array. A bank of 8-bit numbers turns those rows that are read into float16.
    """

    folder: Path
    config: Config
    compared: Half | Codes
    sentences: Half | Codes
    _ends: npt.NDArray[np.uint64]
    _text: npt.NDArray[np.uint8]

    @classmethod
    def open(cls, folder: Path = PACKAGED) -> Bank:
        """Open the bank in a folder, by default the package's own; sizes are checked, content only by `verify`.

        Raises DataError if there is no finished bank, a file is missing, unreadable or of the wrong size, or the
        sentence vectors come from another encoder than the current one.
        """
        config = read_config(folder)
        _check_sizes(folder, config)
        _check_encoder(folder, config)
        makers, count = config.makers, config.prompts
        try:
            sentences = _vectors(folder / makers.sentences_file, makers, EMBEDDING_SIZE, count)
            compared = (
                sentences if makers.metric else _vectors(folder / makers.compared_file, makers, makers.size, count)
            )
            ends = np.memmap(folder / ENDS, PLACE, "r")
            text = np.memmap(folder / PROMPTS, np.uint8, "r")
        except OSError as error:
            raise DataError(f"cannot read the bank {printable(str(folder))}: {printable(str(error))}") from error
        if ends[-1] != len(text):
            raise _damaged(folder, f"{PROMPTS} does not end where {ENDS} says")
        return cls(folder, config, compared, sentences, np.asarray(ends), np.asarray(text))

    def __len__(self) -> int:
        return self.config.prompts

    def check_model(self, towers: TwoTower) -> None:
        """Raise DataError if the model or its weights differ from those that the bank was built with."""
        built = self.config.makers
        now = Makers.of(towers, built.numbers)
        if built != now:
            raise DataError(
                f"the bank {printable(str(self.folder))} was built with {_told(built)}, and is searched with "
                f"{_told(now)}: their vectors cannot be compared; use that model with its weights, or build the bank "
                "again"
            )

    def nearest(self, images: Vector, count: int) -> list[Nearest]:
        """The `count` prompts nearest to each picture (pictures, size), exactly; all if there are fewer.

        An answer depends neither on the other pictures nor on the number of threads. Raises DataError if vectors that
        were found are damaged.
        """
        return [self._whole(*found, min(count, len(self))) for found in _nearest(self.compared, images, count)]

    def nearest_among(self, rows: npt.NDArray[np.int64], image: Vector, count: int) -> Nearest:
        """Like `nearest` for one picture (size,), among some rows, in ascending order."""
        stored = self.compared.codes if isinstance(self.compared, Codes) else self.compared
        prefetch_rows(stored, rows, rows + 1)
        ((places, similarities),) = _nearest(self.compared[rows], image[None], count)
        return self._whole(rows[places], similarities, min(count, len(rows)))

    def compared_vectors(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The vectors (rows, size) that some rows are compared by. Raises DataError if they are damaged."""
        return self._sound(self.compared, rows)

    def sentence_vectors(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The vectors (rows, 384) of some rows in the metric space. Raises DataError if they are damaged."""
        return self._sound(self.sentences, rows)

    def texts(self, rows: Iterable[int]) -> list[str]:
        """The prompts in some rows. Raises DataError if they are damaged."""
        return [self._prompt(int(row)) for row in rows]

    def identity(self) -> Mapping[str, str]:
        """The bank by the name of its folder, with a hash of its content."""
        return {f"bank {self.folder.resolve().name}": digest(self.config.to_json())}

    def _whole(self, rows: npt.NDArray[np.int64], similarities: npt.NDArray[np.float64], count: int) -> Nearest:
        if len(rows) < count:
            raise _damaged(self.folder, _NO_UNIT)
        self._sound(self.compared, rows)
        return Nearest(rows, similarities)

    def _sound(self, vectors: Half | Codes, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        chosen = vectors[rows].astype(np.float64)
        lengths = np.sqrt((chosen * chosen).sum(axis=1))  # infinite or NaN if any number is
        if not (np.abs(lengths - 1) <= _LENGTHENED).all():
            raise _damaged(self.folder, _NO_UNIT)
        return chosen

    def _prompt(self, row: int) -> str:
        start, end = 0 if row == 0 else int(self._ends[row - 1]), int(self._ends[row])
        if not 0 < end - start <= _LONGEST_BYTES:
            raise _damaged(self.folder, f"{ENDS} has no place for prompt {row:,}")
        try:
            return self._text[start : end - 1].tobytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise _damaged(self.folder, f"prompt {row:,} is not UTF-8") from error


def _vectors(path: Path, makers: Makers, size: int, count: int) -> Half | Codes:
    stored = np.asarray(np.memmap(path, makers.number, "r", shape=(count, size)))
    return Codes(stored) if makers.numbers == "int8" else stored


def _nearest(
    vectors: Half | Codes, images: Vector, count: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    with np.errstate(all="ignore"):  # damaged numbers may be infinite
        return nearest(vectors, images, count)


def verify(folder: Path, advance: Advance = no_advance) -> None:
    """Check every byte of a bank; `advance` is called with the bytes done. Raises DataError if any differs."""
    config = read_config(folder)
    _check_sizes(folder, config)
    for name, promised in sorted(config.files.items()):
        if file_sha256(folder / name) != promised.sha256:
            raise _damaged(folder, f"{name} has another sha256 than its config says")
        advance(promised.size)
    _check_encoder(folder, config)


def _check_sizes(folder: Path, config: Config) -> None:
    for name, promised in sorted(config.files.items()):
        try:
            found = (folder / name).stat().st_size
        except OSError as error:
            raise _damaged(folder, f"{name} cannot be read: {error.strerror}") from error
        if found != promised.size:
            raise _damaged(folder, f"expected {promised.size:,} bytes in {name}, found {found:,}")
    if not config.prompts or not config.files[PROMPTS].size:
        raise _damaged(folder, "it has no prompts")


def _check_encoder(folder: Path, config: Config) -> None:
    built, now = config.makers.sentences, find_model(SENTENCE_ENCODER).identity()
    if built != now:
        raise DataError(
            f"the bank {printable(str(folder))} has vectors of another {SENTENCE_ENCODER} ({printable(built)}) than "
            f"this unprompt uses ({now}); build it again"
        )


def _told(makers: Makers) -> str:
    return printable(f"{makers.model} ({', '.join(makers.identities.values())})")


def _damaged(folder: Path, reason: str) -> DataError:
    return DataError(
        f"the bank {printable(str(folder))} is damaged: {reason}; copy it again, or build it again "
        "('unprompt bank verify' reads every byte)"
    )
