"""The index of a bank: lists of similar prompts, so that a picture is compared with few prompts, at the risk of misses.

Each list has a centre. A picture is compared, at 8 bits a number, with all prompts of the lists whose centres are
nearest to it; the best of these are compared again by the bank's own vectors, so cosines are exact.

Lists and codes are those of faiss's IndexIVFScalarQuantizer with QT_8bit, which creates them. They are searched without
faiss, though it would be twice as fast at a million prompts and four times at 50,000 (benchmarks/bank.py): an untrusted
file is mapped as rows of numbers and never interpreted, using an index needs no extra, and no second OpenMP is loaded
beside torch's, which can crash the process on macOS (faiss-wheels, issue 73).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from unprompt.bank.bank import Bank, Nearest
from unprompt.bank.layout import NUMBER, PLACE
from unprompt.bank.readahead import prefetch_rows
from unprompt.checked import Bounds, read
from unprompt.display import printable
from unprompt.errors import DataError, UnpromptError
from unprompt.models.store.folder import FileSum, file_sha256
from unprompt.prediction import Vector
from unprompt.progress import Advance, no_advance
from unprompt.vocabulary.category import digest
from unprompt.vocabulary.ranking import nearest
from unprompt.vocabulary.vector_file import Half

LEAST = 50_000
"""Prompts from which on an index pays: one picture then takes 3 ms instead of 12; below, more prompts are missed."""

FOLDER, CONFIG = "index", "config.json"
CENTRES, STEPS, ENDS, ROWS, CODES = "centres.f16", "steps.f32", "ends.u64", "rows.u64", "codes.u8"
STEP = np.dtype("<f4")
MOST_LISTS = 2048

_EXACT = "search it without --approximate, or in a preset without 'approximate'"
_LAYOUT = "unprompt bank index 1"
_CONFIG_LIMIT = 1 << 16
_LOOKED_AT = 8  # one in so many lists is searched
_WIDENED = 1024  # prompts of a list multiplied at a time: as float32 they fit into a core's cache
_EACH = 16  # prompts searched at least, per prompt requested
_KEPT = 2  # prompts compared exactly, per prompt requested,
_SPARE = 100  # plus this number


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """A finished index: the identity of its bank, the numbers of prompts and lists, and the size of a vector."""

    bank: str
    prompts: Annotated[int, Bounds(1)]
    size: Annotated[int, Bounds(1)]
    lists: Annotated[int, Bounds(1)]
    files: Mapping[str, FileSum]
    other_keys: ClassVar[bool] = True

    def sizes(self) -> dict[str, int]:
        """The size in bytes that each file must have."""
        return {
            CENTRES: self.lists * self.size * NUMBER.itemsize,
            STEPS: self.size * STEP.itemsize,
            ENDS: self.lists * PLACE.itemsize,
            ROWS: self.prompts * PLACE.itemsize,
            CODES: self.prompts * self.size,
        }

    def to_json(self) -> str:
        """The content of the config file."""
        return json.dumps({"layout": _LAYOUT, **asdict(self)}, indent=2) + "\n"


class Index:
    """An index that is ready to search: opened at once; only the lists that are searched are read from disk."""

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
            raise damaged(bank, f"{ENDS} does not hold the ends of lists")
        if not (np.isfinite(self._centres).all() and np.isfinite(self._steps).all()):
            raise damaged(bank, "some of its numbers are not finite")

    @classmethod
    def open(cls, bank: Bank) -> Index:
        """Open the index of a bank, checking the sizes of its files but not their content, which `verify_index` does.

        Raises DataError if the bank has no index, or if the index is damaged or was made of other content.
        """
        config = read_index_config(bank)
        for name, size in config.sizes().items():
            _check_size(bank, name, size)
        return cls(bank, config)

    def nearest(self, images: Vector, count: int) -> list[Nearest]:
        """The prompts nearest to each picture (pictures, size), with exact cosines, though some may be missed.

        There are as many as `Bank.nearest` returns. Each picture is searched separately, so that an answer does not
        depend on the others. Raises DataError if what was found is damaged.
        """
        with np.errstate(all="ignore"):  # damaged numbers may be large
            return [self._nearest_to(image, min(count, len(self.bank))) for image in images]

    def identity(self) -> Mapping[str, str]:
        """The index by the name of its bank, with a hash of its content."""
        return {f"index of {self.bank.folder.resolve().name}": digest(self.config.to_json())}

    def _nearest_to(self, image: Vector, count: int) -> Nearest:
        places, estimates = self._estimates(image, self._lists(image, count))
        kept = _KEPT * count + _SPARE
        if kept < len(places):
            places = places[np.argpartition(estimates, -kept)[-kept:]]
        rows = np.unique(self._rows[places])
        if len(rows) < min(kept, len(places)) or rows[-1] >= len(self.bank):
            raise damaged(self.bank, f"{ROWS} names prompts that do not exist")
        return self.bank.nearest_among(rows.astype(np.int64), image, count)

    def _lists(self, image: Vector, count: int) -> npt.NDArray[np.int64]:
        """The lists to search, in ascending order as on disk: enough of them to hold the prompts requested."""
        lists, wanted = self.config.lists, min(_EACH * count, self.config.prompts)
        looked_at = max(1, lists // _LOOKED_AT)
        while True:
            ((found, _),) = nearest(self._centres, image[None], looked_at)
            if looked_at >= lists or int((self._ends - self._starts)[found].sum()) >= wanted:
                return np.sort(found)
            looked_at *= 2

    def _estimates(self, image: Vector, lists: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Vector]:
        """The places of the prompts in some lists, and their estimated cosines up to a constant."""
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
    """The config of a bank's index. Raises DataError if there is none, or if it belongs to other content."""
    path = bank.folder / FOLDER / CONFIG
    if not has_index(bank.folder):
        if len(bank) < LEAST:
            raise too_small(bank)
        where = printable(str(bank.folder))
        raise DataError(f"the bank {where} has no index; make one with 'unprompt bank index {where}'")
    try:
        with path.open("rb") as file:
            config = _config(json.loads(file.read(_CONFIG_LIMIT)))
    except UnpromptError as error:
        raise damaged(bank, str(error)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(bank, f"its {CONFIG} is broken: {error}") from error
    if (config.bank, config.prompts, config.size) != (bank_identity(bank), *bank.compared.shape):
        raise DataError(
            f"the index in {printable(str(bank.folder))} is of another bank, or of an earlier state of this one; "
            f"{_way(bank)}"
        )
    return config


def verify_index(bank: Bank, advance: Advance = no_advance) -> None:
    """Check every byte of an index; `advance` is called with the bytes done. Raises DataError if any differs."""
    config = Index.open(bank).config
    for name, promised in sorted(config.files.items()):
        if file_sha256(bank.folder / FOLDER / name) != promised.sha256:
            raise damaged(bank, f"{name} has another sha256 than its {CONFIG} says")
        advance(promised.size)


def bank_identity(bank: Bank) -> str:
    """The hash by which an index recognises its bank, in whatever folder."""
    return digest(bank.config.to_json())


def too_small(bank: Bank) -> DataError:
    """The error for a bank that is too small for an index to pay."""
    return DataError(
        f"the bank {printable(str(bank.folder))} has {len(bank):,} prompts, and an index pays from {LEAST:,} on: of "
        f"fewer the exact search takes some milliseconds; {_EXACT}"
    )


def damaged(bank: Bank, reason: str) -> DataError:
    """The error for an index that is damaged."""
    where = printable(str(bank.folder))
    return DataError(f"the index of the bank {where} is damaged: {printable(reason)}; {_way(bank)}")


def _way(bank: Bank) -> str:
    """What to do about an unusable index: make it again, or, for a small bank, do without."""
    return _EXACT if len(bank) < LEAST else f"make it again with 'unprompt bank index {printable(str(bank.folder))}'"


def _config(table: Any) -> IndexConfig:
    """Parse the config from its table. Raises ValueError, UnpromptError."""
    if not isinstance(table, dict) or table.get("layout") != _LAYOUT:
        raise ValueError(f"expected the layout {_LAYOUT!r}")
    config = read(IndexConfig, table, f"its {CONFIG}")
    sizes = {name: file.size for name, file in config.files.items()}
    if config.lists > min(config.prompts, MOST_LISTS) or sizes != config.sizes():
        raise ValueError("it contradicts itself")
    return config


def _check_size(bank: Bank, name: str, expected: int) -> None:
    try:
        found = (bank.folder / FOLDER / name).stat().st_size
    except OSError as error:
        raise damaged(bank, f"{name} cannot be read: {error.strerror}") from error
    if found != expected:
        raise damaged(bank, f"expected {expected:,} bytes in {name}, found {found:,}")
