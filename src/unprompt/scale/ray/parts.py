"""What a run leaves on the disk: parts of many chunks, which are in no order, and a log that says what is in them.

    OUT/run.json                    what the run is: `unprompt.scale.runs`
    OUT/parts/part-00012.jsonl      a finished part: a record a line, each with its position, for `unprompt merge`
    OUT/parquet/part-00012.parquet  the same records as a table, if asked for
    OUT/webdataset/part-00012.tar   the same records with their pictures, if asked for
    OUT/.work/part-00012.log        a line for each chunk that is in the part: what is not in a log was not done
    OUT/.work/part-00013.*          the part that is being written
    OUT/.work/driver                locked by the driver, which alone writes

A line is added to the log after the records that it speaks of. A driver that goes on after a kill cuts the part off
where its log ends, and leaves out the pictures that the logs name. So each record stands there once, and a kill loses
the chunks that were in work.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, TypeAlias

from unprompt.durable import open_locked, put_in_place, write_errors
from unprompt.images.formats import SUFFIXES
from unprompt.output.jsonl import to_json
from unprompt.output.parquet import ParquetWriter
from unprompt.output.records import Record
from unprompt.scale.listing import POSITION
from unprompt.scale.ray.chunks import Chunk
from unprompt.scale.ray.rows import Row
from unprompt.scale.runs import PARTS, THEN

Form: TypeAlias = Literal["jsonl", "parquet", "webdataset"]
FORMS: tuple[Form, ...] = ("jsonl", "parquet", "webdataset")

WORK = ".work"
PART_BYTES = 256 << 20
PART_PICTURES = 10_000
"""A part is finished at either: few files, and parts that a reader can hold."""

_LOG, _RECORDS, _PICTURES = ".log", ".jsonl", ".tar"
_END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)
_ENDINGS = {name: suffix for suffix, name in reversed(list(SUFFIXES.items()))}


@dataclass(frozen=True, slots=True)
class Logged:
    """A chunk that is in a part, how many of its pictures failed, and how long the part's files were after it."""

    positions: range
    failed: int
    sizes: tuple[int, int]

    def line(self) -> str:
        """The line of the log."""
        return f"{self.positions.start} {self.positions.stop} {self.failed} {self.sizes[0]} {self.sizes[1]}\n"


def read_log(path: Path) -> list[Logged]:
    """The whole lines of a log, up to the first that is damaged."""
    found = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            start, stop, failed, *sizes = map(int, line.split())
            found.append(Logged(range(start, stop), failed, (sizes[0], sizes[1])))
        except (ValueError, IndexError):
            break
    return found


class Parts:
    """The parts of a run in a folder that exists. As a context manager it has the folder for itself.

    Raises OutputBusyError if another driver has it, DataError if it cannot be written to, as do its methods.
    """

    def __init__(
        self, folder: Path, form: Form, *, most_bytes: int = PART_BYTES, most_pictures: int = PART_PICTURES
    ) -> None:
        self._folder, self._form = folder, form
        self._most_bytes, self._most_pictures = most_bytes, most_pictures
        self._stack = ExitStack()
        self._part: _Part | None = None
        self._next = 0
        self.done: list[range] = []
        """The positions that are done already, as ranges in order."""
        self.failed = 0
        """How many pictures of those failed."""

    def __enter__(self) -> Parts:
        with ExitStack() as stack, write_errors(self._folder, THEN):
            (self._folder / WORK).mkdir(exist_ok=True)
            stack.enter_context(open_locked(self._folder / WORK / "driver"))
            self._take_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._part is not None:
            self._part.close()
        self._stack.close()

    def add(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        """Write the rows of a chunk, and log it."""
        with write_errors(self._folder, THEN):
            if self._part is None:
                self._part = _Part(self._folder / WORK / f"part-{self._next:05}", self._form)
            self._part.add(chunk, rows)
            if self._part.bytes >= self._most_bytes or self._part.pictures >= self._most_pictures:
                self.finish()

    def finish(self) -> None:
        """Put the part that is being written in its place."""
        part, self._part = self._part, None
        if part is not None:
            self._next += 1
            with write_errors(self._folder, THEN):
                part.finish(self._folder, self._form)

    def _take_up(self) -> None:
        """Read what earlier drivers logged, and go on with the part that the last of them was writing."""
        logged: list[Logged] = []
        for path in sorted((self._folder / WORK).glob(f"part-*{_LOG}")):
            self._next = int(path.stem.removeprefix("part-")) + 1
            chunks = read_log(path)
            if not (self._folder / PARTS / f"{path.stem}{_RECORDS}").exists():
                chunks = self._go_on(path.with_suffix(""), chunks)
            logged += chunks
        self.done = list(_joined(sorted((each.positions for each in logged), key=lambda positions: positions.start)))
        self.failed = sum(each.failed for each in logged)

    def _go_on(self, stem: Path, chunks: list[Logged]) -> list[Logged]:
        """Go on with a part that was not finished.

        Returns those of its chunks that are on the disk: after a power cut, not all need be.
        """
        self._next -= 1
        tar, placed = stem.with_suffix(_PICTURES), self._folder / "webdataset" / f"{stem.name}{_PICTURES}"
        if placed.exists() and not tar.exists():  # a kill between two renamings
            os.replace(placed, tar)
        sizes = tuple(_size(stem.with_suffix(suffix)) for suffix in (_RECORDS, _PICTURES))
        chunks = [each for each in chunks if each.sizes[0] <= sizes[0] and each.sizes[1] <= sizes[1]]
        self._part = _Part(stem, self._form, chunks)
        return chunks


class _Part:
    """The files of the part that is being written, cut off after the last of the chunks."""

    def __init__(self, stem: Path, form: Form, chunks: Sequence[Logged] = ()) -> None:
        self._stem = stem
        sizes = chunks[-1].sizes if chunks else (0, 0)
        self.pictures = sum(len(each.positions) for each in chunks)
        self._records = _opened(stem.with_suffix(_RECORDS), sizes[0])
        self._tar = _opened(stem.with_suffix(_PICTURES), sizes[1]) if form == "webdataset" else None
        self._log = _opened(stem.with_suffix(_LOG), sum(len(each.line()) for each in chunks))

    @property
    def bytes(self) -> int:
        return self._records.tell() + (0 if self._tar is None else self._tar.tell())

    def add(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        records = [{POSITION: position, **row.record} for position, row in zip(chunk.positions, rows, strict=True)]
        if self._tar is not None:
            self._tar.writelines(
                data for record, row in zip(records, rows, strict=True) for data in _sample(record, row)
            )
            self._tar.flush()
        self._records.write("".join(to_json(record) + "\n" for record in records).encode("utf-8", "backslashreplace"))
        self._records.flush()
        failed = sum("error" in row.record for row in rows)
        sizes = self._records.tell(), 0 if self._tar is None else self._tar.tell()
        self._log.write(Logged(chunk.positions, failed, sizes).line().encode())
        self._log.flush()
        self.pictures += len(rows)

    def finish(self, folder: Path, form: Form) -> None:
        """The records come last: without them the part counts as one that is being written."""
        if self._tar is not None:
            self._tar.write(_END_OF_TAR)
        self.close()
        records = self._stem.with_suffix(_RECORDS)
        if form == "webdataset":
            _put(self._stem.with_suffix(_PICTURES), folder / "webdataset")
        elif form == "parquet":
            _write_parquet(records, folder / "parquet" / f"{records.stem}.parquet")
        _put(records, folder / PARTS)

    def close(self) -> None:
        for file in (self._records, self._tar, self._log):
            if file is not None:
                file.close()


def _opened(path: Path, size: int) -> BinaryIO:
    """A file to add to, after its first `size` bytes."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(0, os.SEEK_END)
    return file


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _put(path: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    put_in_place(path, folder / path.name)


def _write_parquet(records: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    with records.open(encoding="utf-8") as lines:
        first = json.loads(lines.readline() or "{}")
        has = {"text": "text" in first, "embedding": "embedding" in first}
        lines.seek(0)
        writer = ParquetWriter(str(target), position=True, **has)
        for line in lines:
            writer.write(json.loads(line))
        writer.close()


def _sample(record: Record, row: Row) -> Iterator[bytes]:
    """A WebDataset sample: the picture, its prompt and its record under one key; of a failure only the record.

    Source: github.com/webdataset/webdataset, "The WebDataset Format".
    """
    key = f"{record[POSITION]:012}"
    if row.picture:
        yield from _member(f"{key}{_ENDINGS.get(row.format, '.bin')}", row.picture)
        yield from _member(f"{key}.txt", str(record.get("text", record["prompt"])).encode("utf-8", "backslashreplace"))
    yield from _member(f"{key}.json", to_json(record).encode("utf-8", "backslashreplace"))


def _member(name: str, data: bytes) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    yield header.tobuf(tarfile.USTAR_FORMAT)
    yield data
    yield bytes(-len(data) % tarfile.BLOCKSIZE)


def _joined(ranges: Sequence[range]) -> Iterator[range]:
    """Ranges in order, with those that touch made one."""
    kept: range | None = None
    for each in ranges:
        if kept is not None and each.start <= kept.stop:
            kept = range(kept.start, max(kept.stop, each.stop))
            continue
        if kept is not None:
            yield kept
        kept = each
    if kept is not None:
        yield kept
