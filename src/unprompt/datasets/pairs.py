"""Pictures and their prompts, out of whatever a data set is kept in; nothing in it is trusted."""

from __future__ import annotations

import glob
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from unprompt.datasets.records import Fault as Fault
from unprompt.datasets.records import Pair as Pair
from unprompt.datasets.records import Record, pair_of
from unprompt.datasets.tables import METADATA_NAMES, TABLE_SUFFIXES, table_records
from unprompt.errors import DataError
from unprompt.images.decode import decode
from unprompt.images.folders import matching
from unprompt.images.sources import ImageRef, printable
from unprompt.models.onnx import core_count
from unprompt.prediction import Failure

_CHECKED_SIDE = 32  # pixels: a JPEG is then read to its end, but most of its arithmetic is spared
_AHEAD = 8  # pictures a thread that wait for their turn
_FAULTS_SHOWN = 3  # of a kind


def read_pairs(source: str | Path) -> Iterator[Pair | Fault]:
    """The pairs of a data set, or what is wrong, in its order; no picture is opened.

    A source is a file (.jsonl, .csv), or a folder with a metadata.jsonl or metadata.csv in it or one level down
    (Hugging Face's ImageFolder). It is read as it is asked for; only the names are held, to find those that stand
    twice. Raises DataError, at the first pair, where there is no data set.
    """
    for item in _placed(source):
        yield item if isinstance(item, Fault) else item[1]


def checked_pairs(
    source: str | Path,
    *,
    skip_bad: bool = False,
    decode: bool = True,
    threads: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[list[Pair], Counter[str]]:
    """All pairs of a data set that can be used, in its order, and how many faults of each kind there are.

    With `decode` each picture is decoded once, by `threads` (0: one a core); without, a picture that is a file has to
    exist. `advance` hears how many records were looked at. Raises DataError where there is no usable pair and, unless
    `skip_bad`, where there is any fault: how many of each kind, and the first of each with their places.
    """
    pairs: list[Pair] = []
    faults: Counter[str] = Counter()
    first: dict[str, list[Fault]] = {}
    for done, item in enumerate(_checked(source, _decoded if decode else _existing, threads), 1):
        if isinstance(item, Pair):
            pairs.append(item)
        else:
            faults[item.kind] += 1
            if faults[item.kind] <= _FAULTS_SHOWN:
                first.setdefault(item.kind, []).append(item)
        advance(done)
    if faults and not (skip_bad and pairs):
        raise DataError(_summary(str(source), len(pairs), faults, first))
    if not pairs:
        raise DataError(f"expected pictures with prompts in {printable(str(source))}, found none; check the path")
    return pairs, faults


def _placed(source: str | Path) -> Iterator[tuple[str, Pair] | Fault]:
    """Each pair with its place in the data set."""
    names: set[str] = set()
    for record in _records(os.fspath(source)):
        if isinstance(record, Fault):
            yield record
        elif isinstance(item := pair_of(record), Fault):
            yield item
        elif item.name in names:
            message = f"expected a picture once, found {printable(item.name)} again; keep one of its records"
            yield Fault("duplicate-name", record.where, message)
        else:
            names.add(item.name)
            yield record.where, item


def _records(source: str) -> Iterator[Record | Fault]:
    """The records of a source, by what kind of source it is. Raises DataError."""
    if os.path.isdir(source):
        for path in _tables(source):
            yield from table_records(path, source)
    elif source.lower().endswith(TABLE_SUFFIXES):
        yield from table_records(source, os.path.dirname(source))
    else:
        raise DataError(
            f"expected a data set (a .jsonl or .csv file, or a folder with a metadata.jsonl), found {printable(source)}"
        )


def _tables(folder: str) -> list[str]:
    """The metadata files of a folder and of those in it."""
    fixed = glob.escape(folder)
    patterns = [os.path.join(fixed, *deeper, "metadata.*") for deeper in ((), ("*",))]
    found = [path for pattern in patterns for path, _below in matching(pattern)]
    return [path for path in found if os.path.basename(path) in METADATA_NAMES]


def _checked(
    source: str | Path, check: Callable[[str, ImageRef], Fault | None], threads: int
) -> Iterator[Pair | Fault]:
    """Pairs whose pictures were checked by threads, in the data set's order; a few wait in memory."""
    threads = threads or core_count()
    waiting: deque[tuple[Pair, Future[Fault | None]] | Fault] = deque()
    with ThreadPoolExecutor(threads, "checking") as pool:
        for item in _placed(source):
            if isinstance(item, Fault):
                waiting.append(item)
            else:
                where, pair = item
                waiting.append((pair, pool.submit(check, where, pair.picture)))
            if len(waiting) > _AHEAD * threads:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _result(item: tuple[Pair, Future[Fault | None]] | Fault) -> Pair | Fault:
    if isinstance(item, Fault):
        return item
    pair, check = item
    return check.result() or pair


def _decoded(where: str, picture: ImageRef) -> Fault | None:
    answer = decode(picture, shorter_side=_CHECKED_SIDE, read_metadata=False)
    if not isinstance(answer, Failure):
        return None
    kind = "missing-file" if answer.kind == "not-found" else "broken-picture"
    return Fault(kind, where, f"{printable(picture.source)}: {answer.message}")


def _existing(where: str, picture: ImageRef) -> Fault | None:
    if picture.file is None or os.path.isfile(picture.file):
        return None
    return Fault(
        "missing-file", where, f"expected a picture at {printable(picture.file)}, found no file; check the path"
    )


def _summary(source: str, sound: int, faults: Counter[str], first: dict[str, list[Fault]]) -> str:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in faults.most_common())
    places = "; ".join(f"{kind}: {fault.where}: {fault.message}" for kind in first for fault in first[kind])
    return f"{printable(source)} has {faults.total():,} faults beside {sound:,} sound pairs ({counts}): {places}"
