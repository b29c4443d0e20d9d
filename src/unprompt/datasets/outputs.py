"""The outputs of data commands: a text file, a metadata.jsonl that names pictures, or a tar that contains them.

Each is written to a temporary file and moved into place when complete; what an interrupted run wrote is continued.
"""

from __future__ import annotations

import contextlib
import csv
import fnmatch
import io
import math
import os
import tarfile
import tempfile
from collections.abc import Iterator
from typing import Any, Protocol

from unprompt.datasets.captions import CAPTION_SUFFIXES
from unprompt.datasets.parquet import PARQUET_SUFFIX
from unprompt.datasets.prompts import TEXT_SUFFIX, Entry, PromptSource
from unprompt.datasets.records import Fault
from unprompt.datasets.tables import CELL_SUFFIXES, METADATA_NAMES
from unprompt.display import printable
from unprompt.durable import write_errors
from unprompt.errors import DataError, PictureError
from unprompt.images.formats import ARCHIVE_SUFFIXES, PICTURE_SUFFIXES, format_of
from unprompt.images.metadata.cleaning import tidy
from unprompt.output.files import ContinuedFile, completed_file
from unprompt.output.jsonl import to_json

RECORDS_SUFFIX, TAR_SUFFIX, CELLS_SUFFIX = ".jsonl", ".tar", ".csv"


class Output(Protocol):
    """Takes entries, with a new prompt and additional fields."""

    def write(self, entry: Entry, prompt: str, **fields: Any) -> None:
        """Write one entry. Raises DataError if it cannot be written."""


class OutputPlace:
    """The file to write the results to; its suffix determines the format.

    .txt holds the prompts, one a line. .jsonl names pictures without copying them; they must be files in its folder or
    below, since names in a data set may not lead out of it. .tar contains the pictures in WebDataset's layout, wherever
    they come from. Prompts alone have no pictures: their .jsonl has no names, and a table of cells may be .csv again.
    With `resume`, what an interrupted run wrote is not written again, as far as it is the same.

    Raises DataError if the suffix is not supported, or the file would overwrite the source or become a part of it.
    """

    def __init__(self, path: str, source: PromptSource, *, resume: bool = False) -> None:
        self.path = os.path.realpath(path)  # a link is kept, and its target replaced
        self._resume = resume
        self.suffix = os.path.splitext(path)[1].lower()
        self._source = source
        self._folder = os.path.dirname(os.path.abspath(path))
        allowed = _suffixes(source)
        if self.suffix not in allowed:
            reason = "; prompts alone have no pictures" if source.alone else ""
            raise DataError(f"expected -o to end in {' or '.join(allowed)}, found {printable(path)}{reason}")
        check_unread(path, source.name)
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise DataError(f"expected a plain file for -o, found {printable(path)}; choose another")
        with write_errors(self.path), tempfile.TemporaryFile(dir=os.path.dirname(self.path)):
            pass  # fails now rather than after an hour

    def check(self, entry: Entry) -> None:
        """Raise DataError if it is known in advance that the entry cannot be written here."""
        if self.suffix == RECORDS_SUFFIX and entry.pair is not None:
            self.file_name(entry)
            return
        file = entry.pair.picture.file if entry.pair else None
        if self.suffix == TAR_SUFFIX and file is not None and not os.path.isfile(file):
            message = "expected a picture, found no file; check the path"
            self._source.report(Fault("missing-file", printable(file), message))

    def file_name(self, entry: Entry) -> str:
        """The name of the entry's picture in a record: its path relative to the output's folder. Raises DataError."""
        assert entry.pair is not None
        file = entry.pair.picture.file
        if file is None:
            name = printable(entry.pair.name)
            raise DataError(
                f"expected pictures that are files, found {name}, which is in an archive; write -o FILE.tar"
            )
        below = os.path.relpath(os.path.abspath(file), self._folder)
        if below.split(os.sep, 1)[0] == os.pardir:
            raise DataError(
                f"expected -o in a folder that holds the pictures, since names in a data set may not lead out of it; "
                f"found {printable(file)} outside {printable(self._folder)}; write -o there, or -o FILE.tar"
            )
        return below.replace(os.sep, "/")

    @contextlib.contextmanager
    def open(self) -> Iterator[Output]:
        """Open the output; it is moved into place at the end, as `completed_file` says. Raises DataError."""
        with completed_file(self.path, resume=self._resume) as file:
            if self.suffix == TAR_SUFFIX:
                with tarfile.open(fileobj=_Stream(file), mode="w|", format=tarfile.PAX_FORMAT) as tar:
                    yield _Tar(tar, self._source)
            elif self.suffix == CELLS_SUFFIX:
                yield _Cells(file)
            else:
                yield _Lines(file) if self.suffix == TEXT_SUFFIX else _Records(file, self)


class _Stream(io.RawIOBase):
    """A file as tarfile writes to it."""

    def __init__(self, file: ContinuedFile) -> None:
        self._file = file

    def write(self, data: Any, /) -> int:
        """Writes all bytes."""
        self._file.write_bytes(data)
        return len(data)


class _Lines:
    def __init__(self, file: ContinuedFile) -> None:
        self._file = file

    def write(self, entry: Entry, prompt: str, **fields: Any) -> None:
        self._file.write_bytes(tidy(prompt).encode("utf-8") + b"\n")


class _Records:
    def __init__(self, file: ContinuedFile, place: OutputPlace) -> None:
        self._file, self._place = file, place

    def write(self, entry: Entry, prompt: str, **fields: Any) -> None:
        name = {} if entry.pair is None else {"file_name": self._place.file_name(entry)}
        self._file.write_bytes((to_json({**name, **_fields(entry, prompt, fields)}) + "\n").encode("utf-8"))


class _Cells:
    """The rows of a table whose records have the same fields, with the prompt in the last column."""

    def __init__(self, file: ContinuedFile) -> None:
        self._file = file
        self._begun = False

    def write(self, entry: Entry, prompt: str, **fields: Any) -> None:
        row = {**entry.fields, **fields, "prompt": prompt}
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        if not self._begun:
            writer.writeheader()
            self._begun = True
        writer.writerow({name: to_json(value) if isinstance(value, list) else value for name, value in row.items()})
        self._file.write_bytes(text.getvalue().encode("utf-8"))


class _Tar:
    def __init__(self, tar: tarfile.TarFile, source: PromptSource) -> None:
        self._tar, self._source = tar, source
        self._count = 0

    def write(self, entry: Entry, prompt: str, **fields: Any) -> None:
        assert entry.pair is not None
        try:
            picture = entry.pair.picture.read()
            suffix = format_of(picture).lower()
        except PictureError as error:
            kind = "missing-file" if error.kind == "not-found" else "broken-picture"
            self._source.report(Fault(kind, printable(entry.pair.picture.source), str(error)))
            return
        record = to_json(_fields(entry, prompt, fields)).encode("utf-8")
        for ending, data in ((suffix, picture), ("json", record)):
            member = tarfile.TarInfo(f"{self._count:08}.{ending}")
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))
        self._count += 1


def _fields(entry: Entry, prompt: str, fields: dict[str, Any]) -> dict[str, Any]:
    found = {"prompt": prompt, **entry.fields, **fields}
    return {name: _as_json(value) for name, value in found.items()}


def _as_json(value: Any) -> Any:
    """The value with infinite and NaN numbers, which parquet allows but JSON does not, replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return {key: _as_json(item) for key, item in value.items()} if isinstance(value, dict) else value


def _suffixes(source: PromptSource) -> tuple[str, ...]:
    """The suffixes of the files that can hold what is kept of a source."""
    if source.is_text:
        return (TEXT_SUFFIX,)
    if not source.alone:
        return (RECORDS_SUFFIX, TAR_SUFFIX, TEXT_SUFFIX)
    cells = (CELLS_SUFFIX,) if source.name.lower().endswith(CELL_SUFFIXES) else ()
    return (RECORDS_SUFFIX, *cells, TEXT_SUFFIX)


def check_unread(path: str, source: str) -> None:
    """Raise DataError if the file is a part of the data set, or would be read as one."""
    if _is_read(path, source):
        found = f"found {printable(path)}, which is read or would be the next time"
        raise DataError(f"expected a new file for the output, {found}; choose another")


def _is_read(path: str, source: str) -> bool:
    if not os.path.exists(source):  # a pattern, which the name must not match
        return fnmatch.fnmatch(os.path.abspath(path), os.path.abspath(source))
    if not os.path.isdir(source):
        return os.path.exists(path) and os.path.samefile(path, source)
    name, folder, root = os.path.basename(path), os.path.realpath(os.path.dirname(path)), os.path.realpath(source)
    inside = folder == root or folder.startswith(os.path.join(root, ""))
    stem, suffix = os.path.splitext(os.path.join(folder, name))
    beside = suffix.lower() in CAPTION_SUFFIXES and any(os.path.exists(stem + other) for other in PICTURE_SUFFIXES)
    read = name in METADATA_NAMES or name.lower().endswith((*ARCHIVE_SUFFIXES, PARQUET_SUFFIX)) or beside
    return inside and read
