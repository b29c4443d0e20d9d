"""Puts the parts of a run together in the order of the input, each picture once; memory does not grow with them.

A part of a shard is in order. Parts in any order, as an engine writes them, are sorted first, in pieces that fit into
memory, and the pieces wait in temporary files.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.output.jsonl import to_json
from unprompt.scale.listing import POSITION
from unprompt.scale.places import PARTS, Where
from unprompt.scale.runs import Run
from unprompt.scale.shards import finished, part_name

BUFFERS_BYTES = 16 << 20
"""What is read of all parts at a time; lines and copies take some three times as much."""

PIECE_BYTES = 64 << 20
"""Records that are sorted at a time."""

_LEAST_BYTES, _MOST_BYTES = 1 << 12, 1 << 20
"""What is read of one part at a time."""

_LINE_LIMIT_BYTES = 256 << 20
_LEADING = re.compile(rb'\{"position": ([0-9]{1,15}), (?=")')
_FAILURE = re.compile(rb'\{"source": "(?:[^"\\]|\\.)*", "error": ')


_Numbered: TypeAlias = tuple[int, int, bytes]
"""A record's position, the number of its part, and its line."""


class Placed(NamedTuple):
    """A record without its position, as a line of JSON without its end, and the part that holds it."""

    position: int
    line: bytes
    part: Path

    @property
    def is_failure(self) -> bool:
        """Whether the picture could not be read."""
        return _FAILURE.match(self.line) is not None


@dataclass
class Missing:
    """Pictures that no part holds: the first ones' positions, and how many there are."""

    count: int = 0
    first: tuple[int, ...] = ()

    def add(self, positions: range) -> None:
        """Count some more."""
        self.count += len(positions)
        self.first = (*self.first, *positions[: 5 - len(self.first)])


def parts_of(folder: Path, run: Run) -> list[Path]:
    """The parts that are there: one for each shard that is finished, or all that an engine wrote."""
    if run.shards is not None:
        return [folder / part_name(shard) for shard in sorted(finished(folder)) if shard < run.shards]
    return sorted((folder / PARTS).glob("*.jsonl"))


def missing_shards(folder: Where, run: Run) -> list[int]:
    """The shards that are not finished; none where a run has no shards."""
    return [] if run.shards is None else sorted(set(range(run.shards)) - finished(folder))


def merged(parts: Sequence[Path], run: Run, missing: Missing) -> Iterator[Placed]:
    """The records of all parts in the order of the input; pictures without one are counted in `missing`.

    Raises DataError for a part that is damaged, or that holds what is not its own, and for a picture that stands twice.
    """
    bytes_each = max(_LEAST_BYTES, min(_MOST_BYTES, BUFFERS_BYTES // max(len(parts), 1)))
    with contextlib.ExitStack() as stack:
        if run.shards is None:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            runs = [_piece(path, parts, bytes_each) for path in _sorted_pieces(parts, place, bytes_each)]
        else:
            runs = [_ascending(_records(part, bytes_each), part) for part in parts]
        yield from _each_once(heapq.merge(*runs, key=lambda placed: placed.position), run, missing)


def _each_once(records: Iterable[Placed], run: Run, missing: Missing) -> Iterator[Placed]:
    expected, before = 0, None
    for placed in records:
        if before is not None and placed.position == before.position:
            raise DataError(
                f"expected each picture once, found position {placed.position} in {printable(str(before.part))} and "
                f"again in {printable(str(placed.part))}; remove the one that does not belong to this run"
            )
        if placed.position >= run.pictures:
            raise DataError(
                f"expected positions below {run.pictures:,}, found {placed.position:,} in "
                f"{printable(str(placed.part))}; it belongs to another run: remove it"
            )
        missing.add(range(expected, placed.position))
        expected, before = placed.position + 1, placed
        yield placed
    missing.add(range(expected, run.pictures))


def _ascending(records: Iterable[Placed], part: Path) -> Iterator[Placed]:
    last = -1
    for placed in records:
        if placed.position <= last:
            raise DataError(
                f"expected the positions of {printable(str(part))} to ascend, found {placed.position} after {last}; "
                "remove it, and compute it again"
            )
        last = placed.position
        yield placed


def _records(part: Path, chunk_bytes: int) -> Iterator[Placed]:
    for number, line in enumerate(_lines(part, chunk_bytes), 1):
        try:
            yield _placed(line, part)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise DataError(
                f"expected a record with a position, found another line {number} in {printable(str(part))}; remove it, "
                "and compute it again"
            ) from error


def _placed(line: bytes, part: Path) -> Placed:
    """The line without its position; one that another tool wrote is written again as we would."""
    if leading := _LEADING.match(line):
        if not line.endswith(b"}"):
            raise ValueError("the line ends early")
        return Placed(int(leading[1]), b"{" + line[leading.end() :], part)
    record = json.loads(line)
    position = record.pop(POSITION)
    if not isinstance(position, int) or position < 0 or "source" not in record:
        raise ValueError("it has no position")
    return Placed(position, to_json(record).encode(), part)


def _lines(path: Path, chunk_bytes: int) -> Iterator[bytes]:
    """The lines of a file, which is open only while a chunk is read: a process may not open as many as there may be."""
    place, rest = 0, b""
    while chunk := _chunk(path, place, chunk_bytes):
        place += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        while not lines and rest and (more := _chunk(path, place, max(chunk_bytes, len(rest)))):  # a long line
            if len(rest) > _LINE_LIMIT_BYTES:
                raise DataError(f"expected lines of records in {printable(str(path))}, found one that does not end")
            place += len(more)
            *lines, rest = (rest + more).split(b"\n")
            yield from lines
    if rest:
        raise DataError(
            f"expected whole lines in {printable(str(path))}, found a last one that ends early; remove it, and compute "
            "it again"
        )


def _chunk(path: Path, place: int, size: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(place)
            return file.read(size) or b""
    except OSError as error:
        raise DataError(f"cannot read the part {printable(str(path))}: {error.strerror}") from error


def _sorted_pieces(parts: Sequence[Path], place: Path, chunk_bytes: int) -> Iterator[Path]:
    """Files in which the records of all parts ascend, each as large as fits into memory."""
    piece: list[_Numbered] = []
    size = 0
    for number, part in enumerate(parts):
        for placed in _records(part, chunk_bytes):
            piece.append((placed.position, number, placed.line))
            size += len(placed.line)
            if size > PIECE_BYTES:
                yield _spilled(piece, place)
                piece, size = [], 0
    if piece:
        yield _spilled(piece, place)


def _spilled(piece: list[_Numbered], place: Path) -> Path:
    piece.sort()
    descriptor, name = tempfile.mkstemp(dir=place)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(b"%d %d %b\n" % each for each in piece)
    return Path(name)


def _piece(path: Path, parts: Sequence[Path], chunk_bytes: int) -> Iterator[Placed]:
    for line in _lines(path, chunk_bytes):
        position, number, record = line.split(b" ", 2)
        yield Placed(int(position), record, parts[int(number)])
