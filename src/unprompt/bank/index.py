"""A bank's index: lists of prompts that are near each other, so that few are compared with a picture, and some missed.

Each list has a centre. Of the lists whose centres are nearest to a picture all prompts are compared with it, by 8 bits
a number; the best of these are compared once more, by the vectors of the bank, so that cosines are exact.

Lists and numbers are those of an inverted file with a scalar quantiser (IndexIVFScalarQuantizer with QT_8bit of faiss,
by which they are made). They are searched without faiss, which would be twice as quick at a million prompts and four
times at 50,000 (benchmarks/bank.py): so a file that a stranger made is mapped as rows of numbers and never interpreted,
who was given an index needs nothing to use it, and no second OpenMP comes to that of torch, which can end a process on
macOS (faiss-wheels, issue 73).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unprompt.bank.bank import Bank, Nearest
from unprompt.bank.layout import NUMBER, PLACE, FileSum
from unprompt.bank.readahead import prefetch_rows
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.models.store.folder import file_sha256
from unprompt.prediction import Vector
from unprompt.progress import Advance, no_advance
from unprompt.vocabulary.category import digest
from unprompt.vocabulary.ranking import nearest
from unprompt.vocabulary.vector_file import Half

LEAST = 50_000
"""Prompts from which on an index pays: there one picture takes 3 ms in place of 12, and of fewer it misses more."""

FOLDER, CONFIG = "index", "config.json"
CENTRES, STEPS, ENDS, ROWS, CODES = "centres.f16", "steps.f32", "ends.u64", "rows.u64", "codes.u8"
STEP = np.dtype("<f4")
MOST_LISTS = 2048

_EXACT = "search it without --approximate, or in a preset without 'approximate'"
_LAYOUT = "unprompt bank index 1"
_CONFIG_LIMIT = 1 << 16
_LOOKED_AT = 8  # of so many lists one is looked at
_WIDENED = 1024  # prompts of a list that are multiplied together: as float32 they stay in a core's cache
_EACH = 16  # prompts that are looked at, for each that is asked for
_KEPT = 2  # prompts that are compared exactly, for each that is asked for,
_SPARE = 100  # and beyond that


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """A finished index: of which bank, how many prompts and numbers of a vector it has, in how many lists."""

    bank: str
    prompts: int
    size: int
    lists: int
    files: Mapping[str, FileSum]

    def sizes(self) -> dict[str, int]:
        """Each file, and how many bytes it must have."""
        return {
            CENTRES: self.lists * self.size * NUMBER.itemsize,
            STEPS: self.size * STEP.itemsize,
            ENDS: self.lists * PLACE.itemsize,
            ROWS: self.prompts * PLACE.itemsize,
            CODES: self.prompts * self.size,
        }

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps({"layout": _LAYOUT, **asdict(self)}, indent=2) + "\n"


class Index:
    """An index as it is used: opened in a moment; of its files the lists that are looked at are read, and no more."""

    def __init__(self, bank: Bank, config: IndexConfig) -> None:
        folder = bank.folder / FOLDER
        self.bank, self.config = bank, config
        try:
            self._centres: Half = np.fromfile(folder / CENTRES, NUMBER).reshape(config.lists, config.size)
            self._steps: Vector = np.fromfile(folder / STEPS, STEP)
            self._ends = np.fromfile(folder / ENDS, PLACE).astype(np.int64)
            self._rows = np.asarray(np.memmap(folder / ROWS, PLACE, "r"))
            self._codes = np.asarray(np.memmap(folder / CODES, np.uint8, "r", shape=(config.prompts, config.size)))
        except OSError as error:
            raise damaged(bank, str(error)) from error
        self._starts = np.concatenate([[0], self._ends[:-1]])
        if self._ends[-1] != config.prompts or (self._starts > self._ends).any():
            raise damaged(bank, f"{ENDS} holds no places of lists")
        if not (np.isfinite(self._centres).all() and np.isfinite(self._steps).all()):
            raise damaged(bank, "some of its numbers are none")

    @classmethod
    def open(cls, bank: Bank) -> Index:
        """The index of a bank. What is in its files is checked by `verify_index`; that they are whole, here.

        Raises DataError where the bank has none, it is of another bank or of what this one was before, or damaged.
        """
        config = read_index_config(bank)
        for name, size in config.sizes().items():
            _check_size(bank, name, size)
        return cls(bank, config)

    def nearest(self, images: Vector, count: int) -> list[Nearest]:
        """The prompts nearest to each picture (pictures, size), but for those that are missed, with exact cosines.

        As many as `Bank.nearest` gives, and each picture is asked about alone, so that the others change nothing.
        Raises DataError where what was found is damaged.
        """
        with np.errstate(all="ignore"):  # damaged numbers may be large
            return [self._nearest_to(image, min(count, len(self.bank))) for image in images]

    def identity(self) -> Mapping[str, str]:
        """The index by the name of its bank, with a hash that changes with its content."""
        return {f"index of {self.bank.folder.resolve().name}": digest(self.config.to_json())}

    def _nearest_to(self, image: Vector, count: int) -> Nearest:
        places, estimates = self._estimates(image, self._lists(image, count))
        kept = _KEPT * count + _SPARE
        if kept < len(places):
            places = places[np.argpartition(estimates, -kept)[-kept:]]
        rows = np.unique(self._rows[places])
        if len(rows) < min(kept, len(places)) or rows[-1] >= len(self.bank):
            raise damaged(self.bank, f"{ROWS} names prompts that there are not")
        return self.bank.nearest_among(rows.astype(np.int64), image, count)

    def _lists(self, image: Vector, count: int) -> npt.NDArray[np.int64]:
        """The lists to look at, ascending, as they lie on the disk: with enough prompts, however many are asked for."""
        lists, wanted = self.config.lists, min(_EACH * count, self.config.prompts)
        looked_at = max(1, lists // _LOOKED_AT)
        while True:
            ((found, _),) = nearest(self._centres, image[None], looked_at)
            if looked_at >= lists or int((self._ends - self._starts)[found].sum()) >= wanted:
                return np.sort(found)
            looked_at *= 2

    def _estimates(self, image: Vector, lists: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Vector]:
        """The places of the prompts of some lists, and how near they are, but for what is the same of all of them."""
        starts, ends = self._starts[lists], self._ends[lists]
        prefetch_rows(self._codes, starts, ends)
        prefetch_rows(self._rows, starts, ends)
        lengths = ends - starts
        places = np.arange(lengths.sum()) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        estimates = np.empty(len(places), np.float32)
        wide = np.empty((_WIDENED, self.config.size), np.float32)
        scaled = (image * self._steps).astype(np.float32)
        done = 0
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            for at in range(start, end, _WIDENED):
                codes = self._codes[at : min(at + _WIDENED, end)]
                block = wide[: len(codes)]
                np.copyto(block, codes)
                np.matmul(block, scaled, out=estimates[done : done + len(codes)])
                done += len(codes)
        return places, estimates


def has_index(folder: Path) -> bool:
    """Whether a bank has an index, whatever its state."""
    return (folder / FOLDER / CONFIG).is_file()


def read_index_config(bank: Bank) -> IndexConfig:
    """The config of a bank's index. Raises DataError where there is none, and where it is not of this bank."""
    path = bank.folder / FOLDER / CONFIG
    if not has_index(bank.folder):
        if len(bank) < LEAST:
            raise too_small(bank)
        where = printable(str(bank.folder))
        raise DataError(f"the bank {where} has no index; make one with 'unprompt bank index {where}'")
    try:
        with path.open("rb") as file:
            config = _config(json.loads(file.read(_CONFIG_LIMIT)))
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise damaged(bank, f"its {CONFIG} is broken: {type(error).__name__}: {error}") from error
    if (config.bank, config.prompts, config.size) != (bank_identity(bank), *bank.compared.shape):
        raise DataError(
            f"the index in {printable(str(bank.folder))} is of another bank, or of what this one was before; "
            f"{_way(bank)}"
        )
    return config


def verify_index(bank: Bank, advance: Advance = no_advance) -> None:
    """Reads every byte of an index; `advance` hears how many more were. Raises DataError where one is not as it was."""
    config = Index.open(bank).config
    for name, promised in sorted(config.files.items()):
        if file_sha256(bank.folder / FOLDER / name) != promised.sha256:
            raise damaged(bank, f"{name} has another sha256 than its {CONFIG} says")
        advance(promised.size)


def bank_identity(bank: Bank) -> str:
    """By which an index knows its bank, wherever that lies."""
    return digest(bank.config.to_json())


def too_small(bank: Bank) -> DataError:
    """That no index is made of a bank, as it would not pay."""
    return DataError(
        f"the bank {printable(str(bank.folder))} has {len(bank):,} prompts, and an index pays from {LEAST:,} on: of "
        f"fewer the exact search takes some milliseconds; {_EXACT}"
    )


def damaged(bank: Bank, reason: str) -> DataError:
    """That the index of a bank cannot be used as it is."""
    where = printable(str(bank.folder))
    return DataError(f"the index of the bank {where} is damaged: {printable(reason)}; {_way(bank)}")


def _way(bank: Bank) -> str:
    """What to do where an index is of no use; of a small bank no other is made."""
    return _EXACT if len(bank) < LEAST else f"make it anew with 'unprompt bank index {printable(str(bank.folder))}'"


def _config(table: Any) -> IndexConfig:
    """The config that a table is. Raises ValueError, KeyError, TypeError, AttributeError."""
    if table["layout"] != _LAYOUT:
        raise ValueError(f"expected the layout {_LAYOUT!r}")
    prompts, size, lists = (_positive(table[name]) for name in ("prompts", "size", "lists"))
    sums = {str(name): FileSum(_positive(each["size"]), str(each["sha256"])) for name, each in table["files"].items()}
    config = IndexConfig(str(table["bank"]), prompts, size, lists, sums)
    if lists > min(prompts, MOST_LISTS) or {name: each.size for name, each in sums.items()} != config.sizes():
        raise ValueError("it contradicts itself")
    return config


def _positive(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a whole number above 0, found {value!r}")
    return value


def _check_size(bank: Bank, name: str, expected: int) -> None:
    try:
        found = (bank.folder / FOLDER / name).stat().st_size
    except OSError as error:
        raise damaged(bank, f"{name} cannot be read: {error.strerror}") from error
    if found != expected:
        raise damaged(bank, f"expected {expected:,} bytes in {name}, found {found:,}")
