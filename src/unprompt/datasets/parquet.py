"""Parquet files that contain pictures, read with pyarrow: the extra [parquet]."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unprompt.datasets.arrow import BATCH_ROWS, UNREADABLE_ROW, Columns, Place, columns_of, part_at, picture_of, rows_of
from unprompt.datasets.places import picture_named
from unprompt.datasets.records import Fault, Record
from unprompt.display import printable
from unprompt.errors import MissingExtraError, PictureError
from unprompt.images.files import changed, opened, stamp
from unprompt.images.ref import ImageRef, relative_name

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

PARQUET_SUFFIX = ".parquet"

HELD_LIMIT_MB = 256
"""Maximum size of the row groups cached for all data sets together; the last one is always kept."""

GROUP_LIMIT_MB = 1024
"""Maximum size of a row group, which must be read as a whole. Hugging Face writes groups of a hundred pictures."""

_READ_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class ParquetPicture:
    """A picture in a parquet file: the cell of a row in a row group."""

    path: str
    stamp: tuple[int, int]
    place: Place
    group: int
    row: int

    @property
    def size_mb(self) -> float:
        """Always 0: the size is unknown until the row group is read."""
        return 0.0

    def read(self) -> bytes:
        """The picture's bytes. Thread-safe.

        Raises PictureError: not-found (the cell is empty), not-a-picture, too-large, changed, unreadable.
        """
        return picture_of(_GROUPS.cell(self))


class RowGroups:
    """A cache of the pictures in the row groups read last, shared by all threads."""

    def __init__(self, held_limit_mb: float = HELD_LIMIT_MB, group_limit_mb: float = GROUP_LIMIT_MB) -> None:
        self._limit = held_limit_mb * 1_000_000
        self._group_limit_mb = group_limit_mb
        self._held: OrderedDict[tuple[object, ...], pyarrow.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    def cell(self, picture: ParquetPicture) -> bytes | None:
        """The picture's bytes; None if its cell is empty. Raises PictureError."""
        key = (picture.path, picture.stamp, picture.place, picture.group)
        with self._lock:
            if key not in self._held:
                self._held[key] = _read_group(picture, self._group_limit_mb)
                while len(self._held) > 1 and sum(cells.nbytes for cells in self._held.values()) > self._limit:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
            cells = self._held[key]
        if picture.row >= len(cells):
            raise PictureError("unreadable", "expected a whole parquet file, found columns of unequal length")
        data: bytes | None = cells[picture.row].as_py()
        return data


_GROUPS = RowGroups()


def parquet_records(
    paths: Iterable[str], base: str, *, root: str | None = None, alone: bool = False
) -> Iterator[Record | Fault]:
    """The rows of parquet files, named FILE/ROW relative to `base`, rows counted from 0. Pictures are not read.

    Where a file names its pictures instead, these lie in or below its folder or, if given, `root`. With `alone`, the
    records are prompts without pictures. Raises MissingExtraError without the extra [parquet].
    """
    try:
        import pyarrow  # noqa: F401 - raises here rather than at every file
    except ImportError as error:
        raise MissingExtraError("a data set in parquet", "parquet") from error
    for path in paths:
        try:
            yield from _file_records(path, base, root, alone)
        except PictureError as error:
            yield Fault("broken-file", printable(path), str(error))


def _file_records(path: str, base: str, root: str | None, alone: bool) -> Iterator[Record | Fault]:
    where, shard = printable(path), os.path.relpath(path, base or os.curdir)
    with opened(path) as file:
        written = stamp(os.fstat(file.fileno()))
    with _parquet(path) as table:
        columns = columns_of(table.schema_arrow, where, alone=alone)
        if isinstance(columns, Fault):
            yield columns
            return
        rows = 0
        for group in range(table.num_row_groups):
            for row, fields in enumerate(_group_rows(table, group, columns)):
                place = f"{where}, row {rows + row}"
                if fields is None:
                    yield Fault("broken-record", place, UNREADABLE_ROW)
                    continue
                if columns.picture is None:
                    yield _named(place, fields, columns.named, path, root, alone)
                    continue
                picture = ParquetPicture(path, written, columns.picture, group, row)
                name = relative_name(f"{shard}/{rows + row}")
                yield Record(place, name, ImageRef(f"{path}/{rows + row}", picture, name), fields)
            rows += table.metadata.row_group(group).num_rows


def _named(
    where: str, fields: dict[str, Any], key: str | None, path: str, root: str | None, alone: bool
) -> Record | Fault:
    """The record of a row that names its picture, or has none."""
    if key is None or alone:
        return Record(where, "", None, fields)
    found = picture_named(os.path.dirname(path) if root is None else root, fields.pop(key), where, key)
    return found if isinstance(found, Fault) else Record(where, *found, fields)


def _group_rows(table: parquet.ParquetFile, group: int, columns: Columns) -> Iterator[dict[str, Any] | None]:
    beside_pictures = [".".join(place) for place in columns.fields.values()]
    for batch in table.iter_batches(BATCH_ROWS, row_groups=[group], columns=beside_pictures):
        yield from rows_of(batch, columns)


def _read_group(picture: ParquetPicture, limit_mb: float) -> pyarrow.ChunkedArray:
    """The cells of a row group that hold pictures. Raises PictureError."""
    with opened(picture.path) as file:
        if stamp(os.fstat(file.fileno())) != picture.stamp:
            raise changed("a parquet file")
    with _parquet(picture.path) as table:
        # Not the size of the column alone: asking for it in a damaged file makes pyarrow 26 abort the process.
        _check_group(table.metadata.row_group(picture.group).total_byte_size, limit_mb)
        return part_at(table.read_row_group(picture.group, columns=[".".join(picture.place)]), picture.place)


def _check_group(size: int, limit_mb: float) -> None:
    """Raise PictureError (too-large) for a row group of `size` bytes, unpacked, beyond the limit."""
    if size > limit_mb * 1_000_000:
        expected = f"expected row groups of at most {limit_mb:g} MB, found one of {size / 1_000_000:,.0f} MB"
        raise PictureError("too-large", f"{expected}; write the file again with row_group_size=100")


@contextlib.contextmanager
def _parquet(path: str) -> Iterator[parquet.ParquetFile]:
    """Open a parquet file; its errors, and those raised inside the block, become PictureError (unreadable).

    Columns are read as dictionaries, since a small file may repeat a large value millions of times.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(path)
        leaves = (metadata.schema.column(index) for index in range(metadata.num_columns))
        repeated = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        options = {"metadata": metadata, "read_dictionary": repeated, "buffer_size": _READ_BUFFER, "pre_buffer": False}
        with parquet.ParquetFile(path, **options) as table:
            yield table
    # Seen with damaged files: all of pyarrow's errors, OSError, and UnicodeDecodeError for names.
    except (pyarrow.ArrowException, OSError, MemoryError, ValueError) as error:
        found = printable(" ".join(str(error).split())) or type(error).__name__
        raise PictureError("unreadable", f"expected a whole parquet file, found: {found}; fetch it again") from error
