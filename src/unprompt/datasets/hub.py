"""Data sets of the Hugging Face Hub and local folders in their layouts, read by its library: the extra [datasets]."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unprompt.datasets.arrow import BATCH_ROWS, UNREADABLE_ROW, columns_of, picture_of, rows_of
from unprompt.datasets.records import Fault, Record
from unprompt.display import printable
from unprompt.errors import DataError, MissingExtraError
from unprompt.images.files import LocalFile
from unprompt.images.ref import ImageRef, relative_name

if TYPE_CHECKING:
    from datasets import Dataset

HUB_PREFIX = "hub:"

_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?::(?P<split>.+))?")
_FORM = "hub:OWNER/NAME, hub:OWNER/NAME/CONFIG, each with :SPLIT, or hub:FOLDER"
_SCRIPT = "Dataset scripts are no longer supported"  # the library's message from version 4 on
_EXPORT = "refs/convert/parquet"  # the branch with the hub's parquet export of such a data set


@dataclass(frozen=True, slots=True)
class HubPicture:
    """A picture in a data set of the library, which reads single rows from memory-mapped files."""

    data: Dataset
    column: str
    row: int
    roots: tuple[str, ...]

    @property
    def size_mb(self) -> float:
        """Always 0: the size is unknown until the picture is read."""
        return 0.0

    def read(self) -> bytes:
        """The picture's bytes. Thread-safe.

        Raises PictureError: not-found (the cell is empty), not-a-picture, too-large, unreadable.
        """
        cell = self.data[self.row : self.row + 1].column(self.column)[0].as_py()
        data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if data is None and isinstance(path, str) and self._may_read(path):
            return LocalFile(path).read()
        return picture_of(data)

    def _may_read(self, path: str) -> bool:
        """Whether the path lies in a folder of the library: an untrusted table may name any file of this machine."""
        try:
            real = os.path.realpath(path)
        except ValueError:  # a NUL in the path
            return False
        return any(real.startswith(os.path.join(os.path.realpath(root), "")) for root in self.roots)


def hub_records(source: str, *, alone: bool = False) -> Iterator[Record | Fault]:
    """The rows of hub:OWNER/NAME, with /CONFIG and :SPLIT if it has several, or of hub:FOLDER; named SPLIT/ROW.

    With `alone`, rows without pictures are records too. Files that are not cached are downloaded unless
    HF_HUB_OFFLINE=1. Code of a data set is never run. Raises DataError if the data set cannot be loaded,
    MissingExtraError without the extra [datasets].
    """
    try:
        import datasets
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError as error:
        raise MissingExtraError("a data set of the hub", "datasets") from error
    name, config, split = _parts(source)
    data = _load(source, name, config, split)
    if isinstance(data, dict):  # of splits
        if len(data) != 1:
            expected = f"expected {printable(source)}:SPLIT with the name of one split"
            raise DataError(f"{expected}; it has {', '.join(sorted(map(str, data)))}")
        split, data = next(iter(data.items()))
    caches = (HF_HUB_CACHE, os.fspath(datasets.config.HF_DATASETS_CACHE))
    roots = (name, *caches) if os.path.isdir(name) else caches
    yield from _rows(data, f"{HUB_PREFIX}{printable(name)}:{split}", roots, alone)


def _rows(data: Dataset, where: str, roots: tuple[str, ...], alone: bool) -> Iterator[Record | Fault]:
    columns = columns_of(data.features.arrow_schema, where, alone=alone)
    if isinstance(columns, Fault):
        yield columns
        return
    if columns.picture is None and not alone:
        yield Fault(
            "wrong-columns", where, f"expected a column of pictures, found the paths in {columns.named!r} alone"
        )
        return
    data = data.with_format("arrow")
    split = relative_name(str(data.split))
    batches = (batch for table in data.iter(BATCH_ROWS) for batch in table.to_batches())
    rows = (fields for batch in batches for fields in rows_of(batch, columns))
    for row, fields in enumerate(rows):
        name, place = f"{split}/{row}", f"{where}, row {row}"
        if fields is None:
            yield Fault("broken-record", place, UNREADABLE_ROW)
        elif columns.picture is None:
            yield Record(place, "", None, fields)
        else:
            picture = HubPicture(data, columns.picture[0], row, roots)
            yield Record(place, name, ImageRef(f"{where}/{row}", picture, name), fields)


def _parts(source: str) -> tuple[str, str | None, str | None]:
    """Folder or OWNER/NAME, configuration and split. Raises DataError if the source has another form."""
    rest = source.removeprefix(HUB_PREFIX)
    folder, _, split = rest.partition(":")
    if os.path.isdir(rest):
        return rest, None, None
    if os.path.isdir(folder):
        return folder, None, split or None
    if not (found := _NAME.fullmatch(rest)):
        raise DataError(f"expected {_FORM}, found {printable(source)}; check the name or the path")
    return found["name"], found["config"], found["split"]


def _load(source: str, name: str, config: str | None, split: str | None) -> Any:
    """The library's Dataset, or a dict of them by split. Raises DataError."""
    import datasets

    try:
        with _quiet_unless_seen(), _from_the_cache_if_dead():
            try:
                return datasets.load_dataset(name, config, split=split)
            except RuntimeError as error:
                if _SCRIPT not in str(error) or os.path.isdir(name):
                    raise
                return datasets.load_dataset(name, revision=_EXPORT, data_dir=config, split=split)
    # The library does not wrap what its readers and the network raise: errors of pyarrow, httpx, fsspec and json.
    except Exception as error:
        found = printable(" ".join(str(error.__cause__ or error).split())) or type(error).__name__
        raise DataError(f"expected a data set at {printable(source)}, found: {found}; {_advice(error)}") from error


def _advice(error: Exception) -> str:
    if isinstance(error, ConnectionError):
        return "it is not on this machine, and the hub is disabled (HF_HUB_OFFLINE) or cannot be reached"
    if _SCRIPT in str(error):
        return "save what that script produces as parquet first: no code of a data set is run here"
    return f"check the name: {_FORM}"


def _from_the_cache_if_dead() -> AbstractContextManager[None]:
    """Has the library look into its cache alone if the hub does not answer: it would ask for minutes."""
    import datasets

    from unprompt.locations.hub_reach import hub_fault
    from unprompt.models.store.hub_cache import cache_alone, is_offline

    is_dead = not is_offline() and hub_fault()
    return cache_alone(datasets.config) if is_dead else contextlib.nullcontext()


@contextlib.contextmanager
def _quiet_unless_seen() -> Iterator[None]:
    """Show the library's progress bars only on a terminal: they help with long downloads but clutter a log."""
    import datasets

    if sys.stderr.isatty() or datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
