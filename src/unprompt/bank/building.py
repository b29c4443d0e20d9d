"""Building a bank from a stream of prompts; a killed build continues where it stopped.

Files only grow, by one portion of prompts after the other; a portion counts once all files have it. Portions have the
same boundaries in every run and are encoded separately, so a resumed run ends with the bytes of an uninterrupted one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from unprompt.bank.bank import Bank
from unprompt.bank.codes import to_codes
from unprompt.bank.layout import (
    BEGUN,
    CONFIG,
    ENDS,
    LONGEST_PROMPT,
    NUMBER,
    PLACE,
    PROMPTS,
    Config,
    Makers,
    Numbers,
    read_table,
)
from unprompt.checked import read
from unprompt.display import printable
from unprompt.durable import replace_file
from unprompt.errors import DataError, ModelError, UnpromptError
from unprompt.images.metadata.cleaning import tidy
from unprompt.models.store.folder import FileSum, file_sha256
from unprompt.prediction import Vector
from unprompt.progress import SILENT, Step
from unprompt.text.fingerprints import Fingerprints
from unprompt.text.sentence import SentenceEncoder
from unprompt.threads import core_count
from unprompt.towers.two_tower import TwoTower

_PORTION = 1024  # prompts stored at a time: the most that a kill costs
_ENCODED = 128  # prompts of a portion, sorted by length, that a thread encodes at a time
_BATCH = 16  # larger batches exceed a core's cache and are slower


@dataclass(slots=True)
class Counts:
    """The numbers of prompts read, and of those left out for each reason."""

    read: int = 0
    copies: int = 0
    empty: int = 0
    too_long: int = 0


@dataclass(frozen=True, slots=True)
class Encoded:
    """The vectors of a portion's prompts as a bank stores them; `compared` is None where it stores only one."""

    sentences: bytes
    compared: bytes | None


Known: TypeAlias = Callable[[Sequence[str]], Encoded]
"""Returns the vectors of a portion."""


def build_bank(
    prompts: Iterable[str],
    folder: Path,
    towers: TwoTower,
    *,
    numbers: Numbers = "float16",
    card: Mapping[str, str] | None = None,
    threads: int = 0,
    counts: Counts | None = None,
    step: Step = SILENT,
    known: Known | None = None,
) -> Bank:
    """Build a bank of the distinct prompts, each on one line, or continue one that was begun.

    Empty prompts and those of more than 4,096 characters are left out; `counts` is updated as prompts are read. Texts
    are encoded by `towers` and by the sentence encoder, the latter with `threads` (0: one per core). `numbers` says how
    vectors are stored; `card` is what else the bank's config shall say, such as its licence. Memory is 8 bytes
    per prompt, and one portion of 1,024 prompts. Only one process at a time may build in a folder. `known` is asked for
    the vectors of every portion, in order, instead of encoding it.

    Raises DataError if the folder holds a finished bank or other files, if the bank was begun with other prompts or
    models, or if there are no prompts; ModelError if the model returns vectors that are not finite; DataError or
    OSError if the folder cannot be written to; and whatever the towers raise.
    """
    makers = Makers.of(towers, numbers)
    counts = Counts() if counts is None else counts
    stream = _distinct(prompts, counts)
    first = next(stream, None)  # errors in the source are raised here, before a folder is created
    if first is None:
        raise DataError("expected prompts for the bank, found none; give some that are neither empty nor too long")
    _begin(folder, makers)
    with ExitStack() as stack:
        files = stack.enter_context(_Files(folder, makers))
        encode = stack.enter_context(encoding(towers, makers, threads))
        advance = stack.enter_context(step("building the bank", None, "prompts"))
        for portion in _cut(chain([first], stream)):
            vectors = known(portion) if known is not None else None
            if not files.holds(portion):
                files.append(portion, vectors or encode(portion))
            advance(len(portion))
        files.close_whole()
        kept = files.rows
    _finish(folder, Config(kept, makers, {}), card or {}, step)
    return Bank.open(folder)


def portions(prompts: Iterable[str], counts: Counts) -> Iterator[list[str]]:
    """The distinct prompts, each on one line, in the portions in which they are encoded and stored."""
    return _cut(_distinct(prompts, counts))


def _cut(stream: Iterator[str]) -> Iterator[list[str]]:
    while portion := list(islice(stream, _PORTION)):
        yield portion


@contextmanager
def encoding(towers: TwoTower, makers: Makers, threads: int = 0) -> Iterator[Known]:
    """Encode portions, with so many threads; 0: one per core. Raises what the towers raise, and ModelError."""
    encoder = SentenceEncoder.embedded(1)  # one batch per thread: splitting a batch among threads is slower
    with ThreadPoolExecutor(threads or core_count(), "encoding") as pool:

        def encode(portion: Sequence[str]) -> Encoded:
            sentences = _stored(_sentences(encoder, pool, portion), makers)
            return Encoded(sentences, None if makers.metric else _stored(towers.encode_texts(portion), makers))

        yield encode


def _begin(folder: Path, makers: Makers) -> None:
    """Create the folder and record there what is built, or check that an unfinished build may be continued."""
    where = printable(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    own = {BEGUN, f".{BEGUN}.part", f".{CONFIG}.part", PROMPTS, *makers.row_bytes()}
    others = sorted(path.name for path in folder.iterdir() if path.name not in own)
    if others:
        found = "a finished bank" if CONFIG in others else printable(others[0])
        raise DataError(f"expected a new folder for the bank, found {found} in {where}; choose another one")
    if not (folder / BEGUN).exists():
        replace_file(folder / BEGUN, (json.dumps(makers.to_json(), indent=2) + "\n").encode())
        return
    table = read_table(folder / BEGUN)
    try:
        begun = read(Makers, table, f"its {BEGUN}")
    except UnpromptError as error:
        raise DataError(f"the bank {where} is damaged: {error}; remove the folder and build again") from error
    if begun != makers:
        raise DataError(
            f"the bank {where} was begun with {printable(begun.model)}, {begun.numbers} numbers, or with other "
            "weights; build with those, "
            "or remove the folder and begin anew"
        )


def _finish(folder: Path, config: Config, card: Mapping[str, str], step: Step) -> None:
    names = [PROMPTS, *config.makers.row_bytes()]
    sums = {}
    with step("hashing", sum((folder / name).stat().st_size for name in names), "bytes") as advance:
        for name in names:
            sums[name] = FileSum((folder / name).stat().st_size, file_sha256(folder / name))
            advance(sums[name].size)
    replace_file(folder / CONFIG, replace(config, files=sums).to_json(card).encode())
    (folder / BEGUN).unlink()


class _Files:
    """The files of a bank as they grow. Opening them cuts off what a kill left of an unfinished portion."""

    def __init__(self, folder: Path, makers: Makers) -> None:
        self._folder, self._makers, self._row_bytes = folder, makers, makers.row_bytes()
        self._opening = ExitStack()
        self.rows = 0

    def __enter__(self) -> _Files:
        with ExitStack() as opening:
            self._files: dict[str, BinaryIO] = {
                name: opening.enter_context(open(self._folder / name, "a+b")) for name in (*self._row_bytes, PROMPTS)
            }
            self._old = self._cut()
            self._opening = opening.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._opening.close()

    def holds(self, portion: Sequence[str]) -> bool:
        """Whether the next rows hold this portion already. Raises DataError if they hold other prompts."""
        if self.rows == self._old:
            return False
        text = _lines(portion)
        if self._files[PROMPTS].read(len(text)) != text:
            where = printable(str(self._folder))
            raise DataError(
                f"the bank {where} was begun with other prompts than those given now, or in another order; "
                "give the same ones, or remove the folder and begin anew"
            )
        self.rows += len(portion)
        return True

    def append(self, portion: Sequence[str], vectors: Encoded) -> None:
        """Add a portion. The ends of its prompts are written last, which makes it count."""
        lengths = [len(prompt.encode("utf-8")) + 1 for prompt in portion]
        ends = self._files[PROMPTS].seek(0, os.SEEK_END) + np.cumsum(lengths)
        self._write(PROMPTS, _lines(portion))
        self._write(self._makers.sentences_file, vectors.sentences)
        if vectors.compared is not None:
            self._write(self._makers.compared_file, vectors.compared)
        self._write(ENDS, ends.astype(PLACE).tobytes())
        self.rows += len(portion)
        self._old = self.rows

    def close_whole(self) -> None:
        """Flush all files to disk. Raises DataError if they hold more prompts than were given now."""
        if self.rows < self._old:
            raise DataError(
                f"the bank {printable(str(self._folder))} was begun with more prompts than were given now; give the "
                "same ones, or remove the folder and begin anew"
            )
        for file in self._files.values():
            os.fsync(file.fileno())

    def _cut(self) -> int:
        """The number of rows in complete portions that every file has; everything after them is cut off."""
        sizes = {name: os.fstat(self._files[name].fileno()).st_size for name in self._row_bytes}
        rows = min(size // self._row_bytes[name] for name, size in sizes.items())
        rows -= rows % _PORTION
        while (end := self._end_of(rows)) > os.fstat(self._files[PROMPTS].fileno()).st_size:
            rows -= _PORTION  # a power cut may lose the texts alone, though they were written first
        for name, row_bytes in self._row_bytes.items():
            self._files[name].truncate(rows * row_bytes)
        self._files[PROMPTS].truncate(end)
        self._files[PROMPTS].seek(0)
        return rows

    def _end_of(self, rows: int) -> int:
        if not rows:
            return 0
        self._files[ENDS].seek((rows - 1) * PLACE.itemsize)
        return int(np.frombuffer(self._files[ENDS].read(PLACE.itemsize), PLACE)[0])

    def _write(self, name: str, content: bytes) -> None:
        self._files[name].write(content)
        self._files[name].flush()


def _distinct(prompts: Iterable[str], counts: Counts) -> Iterator[str]:
    """The distinct prompts, each on one line; the others are counted."""
    seen = Fingerprints()
    for raw in prompts:
        counts.read += 1
        if len(raw) > LONGEST_PROMPT:
            counts.too_long += 1
        elif not (prompt := tidy(raw)):
            counts.empty += 1
        elif not seen.add(prompt):
            counts.copies += 1
        else:
            yield prompt


def _sentences(encoder: SentenceEncoder, pool: ThreadPoolExecutor, prompts: Sequence[str]) -> Vector:
    """Vectors (prompts, 384), independent of the number of threads: prompts of similar length form a batch."""
    order = np.array(sorted(range(len(prompts)), key=lambda place: len(prompts[place])))
    parts = [[prompts[place] for place in order[at : at + _ENCODED]] for at in range(0, len(order), _ENCODED)]
    found = np.concatenate(list(pool.map(partial(encoder.encode, batch_size=_BATCH), parts)))
    vectors = np.empty_like(found)
    vectors[order] = found
    return vectors


def _stored(vectors: Vector, makers: Makers) -> bytes:
    rounded = vectors.astype(NUMBER)
    if not np.isfinite(rounded).all():
        raise ModelError("expected finite vectors of prompts, found others; the model's weights may be damaged")
    return to_codes(vectors).tobytes() if makers.numbers == "int8" else rounded.tobytes()


def _lines(prompts: Sequence[str]) -> bytes:
    return "".join(f"{prompt}\n" for prompt in prompts).encode("utf-8")
