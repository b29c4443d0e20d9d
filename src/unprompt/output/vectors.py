"""Writes vectors to a .npy file that grows, and the picture of each row to a file beside it."""

from __future__ import annotations

import contextlib
import io
import os

import numpy as np
from numpy.lib import format as npy

from unprompt.display import printable
from unprompt.durable import open_locked
from unprompt.errors import DataError
from unprompt.output.files import Releasable, open_continued
from unprompt.output.jsonl import to_json
from unprompt.prediction import EMBEDDING_SIZE, Vector

_DTYPE = np.dtype("<f4")
_ROW_BYTES = EMBEDDING_SIZE * _DTYPE.itemsize


class VectorFile(Releasable):
    """Writes unit vectors (n, 384) float32 to FILE.npy, and a line {"row", "source"} for each to FILE.sources.jsonl.

    `numpy.load` can read the file at any time, even after a kill: its header counts only rows that are complete,
    together with their lines. A resumed run writes all rows again; while they equal the old ones, nothing changes.
    `close` cuts off old rows that were not written again, `release` keeps them.

    Raises OutputBusyError, or DataError if a file cannot be written, or is not called .npy.
    """

    def __init__(self, path: str, *, resume: bool = False) -> None:
        stem, suffix = os.path.splitext(path)
        if suffix.lower() != ".npy":
            raise DataError(f"expected a file for vectors that ends in .npy, found {printable(path)}")
        if os.path.exists(path) and not os.path.isfile(path):
            raise DataError(f"expected a plain file for vectors, found {printable(path)}; choose another")
        self._rows = 0
        with contextlib.ExitStack() as opening:
            self._file = opening.enter_context(open_locked(path))
            self._promised = _rows_in(self._file) if resume else 0
            if not self._promised:
                self._promise(0)
                self._cut_off()
            fresh = not self._promised
            self._sources = opening.enter_context(open_continued(f"{stem}.sources.jsonl", fresh=fresh))
            opening.pop_all()

    def write(self, source: str, vector: Vector) -> None:
        """Add a row (384,). Raises DataError if it cannot be written."""
        line = to_json({"row": self._rows, "source": source}) + "\n"
        data = np.asarray(vector, _DTYPE).reshape(EMBEDDING_SIZE).tobytes()
        if self._rows < self._promised:
            if self._sources.holds(line) and self._holds(data):
                self._add_source(line)
                return
            self._promise(self._rows)  # the old rows from here on are of another run
        self._file.seek(_place(self._rows))
        self._file.write(data)
        self._add_source(line)
        self._promise(self._rows)

    def close(self) -> None:
        """Cut off old rows that were not written again, and unlock the files. Raises DataError."""
        try:
            if self._promised != self._rows:
                self._promise(self._rows)
            self._cut_off()
            self._file.check_not_deleted()
            self._sources.close()
        finally:
            self.release()

    def release(self) -> None:
        """Unlock the files, and keep what follows the last row."""
        self._sources.release()
        self._file.close()

    def _add_source(self, line: str) -> None:
        self._sources.write(line)
        self._sources.flush()
        self._rows += 1

    def _promise(self, rows: int) -> None:
        """Write the number of rows to the header."""
        self._file.seek(0)
        self._file.write(_head(rows))
        self._promised = rows

    def _cut_off(self) -> None:
        """Cut off everything after the last row."""
        self._file.truncate(_place(self._rows))

    def _holds(self, data: bytes) -> bool:
        self._file.seek(_place(self._rows))
        return self._file.read(_ROW_BYTES) == data


def _head(rows: int) -> bytes:
    """The header of a .npy file; numpy pads it, so that its length is the same for any number of rows."""
    head = io.BytesIO()
    npy.write_array_header_1_0(
        head, {"descr": npy.dtype_to_descr(_DTYPE), "fortran_order": False, "shape": (rows, EMBEDDING_SIZE)}
    )
    return head.getvalue()


_HEAD_BYTES = len(_head(0))


def _place(row: int) -> int:
    return _HEAD_BYTES + row * _ROW_BYTES


def _rows_in(file: io.FileIO) -> int:
    """The number of rows that both the header and the size of a file of this kind confirm; 0 for any other file."""
    head = file.read(_HEAD_BYTES)
    with contextlib.suppress(ValueError):  # not a .npy header
        stream = io.BytesIO(head)
        npy.read_magic(stream)
        (rows, *_), _, _ = npy.read_array_header_1_0(stream)
        if head == _head(rows):
            present = (os.fstat(file.fileno()).st_size - _HEAD_BYTES) // _ROW_BYTES
            return min(rows, present)
    return 0
