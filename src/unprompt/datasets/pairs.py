"""Pairs of pictures and prompts, read from any supported layout; the data is untrusted."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path

from unprompt.datasets.captions import caption_records, check_captioned
from unprompt.datasets.hub import HUB_PREFIX, hub_records
from unprompt.datasets.parquet import PARQUET_SUFFIX, parquet_records
from unprompt.datasets.records import PICTURE_KEYS, Faults, Record, key_of, pair_of
from unprompt.datasets.records import Fault as Fault
from unprompt.datasets.records import Pair as Pair
from unprompt.datasets.tables import METADATA_NAMES, TABLE_SUFFIXES, table_records
from unprompt.datasets.tars import archive_records
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.images.decode import decode
from unprompt.images.folders import is_pattern, matching
from unprompt.images.formats import ARCHIVE_SUFFIXES
from unprompt.images.ref import ImageRef
from unprompt.prediction import Failure
from unprompt.progress import Advance, no_advance
from unprompt.threads import core_count, in_order

# Patterns and suffixes of a data set's files in a folder; the first with a match is used. Without one, the folder is
# one of pictures with texts beside them.
_LAYOUTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("metadata.*",), METADATA_NAMES),
    (("*", "metadata.*"), METADATA_NAMES),
    (("**", "*"), ARCHIVE_SUFFIXES),
    (("**", "*.parquet"), (PARQUET_SUFFIX,)),
)

_CHECKED_SIDE = 32  # pixels: a JPEG is still read to its end, but most of the arithmetic is saved
_LOOKED_AT = 100  # records, of which one has to be sound to see what a data set holds
_AHEAD = 8  # pictures in the queue per thread


def read_pairs(source: str | Path, root: str | Path | None = None) -> Iterator[Pair | Fault]:
    """The pairs of a data set and its faults, in order; pictures are not opened.

    A source is a .jsonl, .json, .csv or .tsv file that names pictures beside it; a folder with such a metadata file in
    it or one level down (Hugging Face's ImageFolder); a folder of pictures with texts beside them; parquet files with
    pictures; tars in WebDataset's layout; a pattern or a folder of either; or hub:OWNER/NAME, with /CONFIG and :SPLIT.
    `root` is the folder that the names of a list are relative to, or that holds the pictures of a folder of texts. It
    is read lazily; only names are held in memory, to find duplicates. The first item raises DataError if there is no
    data set, MissingExtraError if an extra is missing.
    """
    for item in _placed(source, root):
        yield item if isinstance(item, Fault) else item[1]


def read_prompts(source: str | Path) -> Iterator[Record | Fault]:
    """The records of a data set of prompts, without looking for pictures. Raises as `read_pairs` does."""
    return _records(os.fspath(source), None, alone=True)


def has_pictures(source: str | Path) -> bool:
    """Whether a data set is one of pictures, by its first record; also where that cannot be read."""
    name = os.fspath(source)
    if os.path.isdir(name) or name.lower().endswith(ARCHIVE_SUFFIXES):
        return True
    for record in islice(read_prompts(source), _LOOKED_AT):
        if isinstance(record, Record):
            return record.picture is not None or key_of(PICTURE_KEYS, record.fields) is not None
    return True


def checked_pairs(
    source: str | Path,
    *,
    root: str | Path | None = None,
    skip_bad: bool = False,
    decode: bool = True,
    threads: int = 0,
    advance: Advance = no_advance,
) -> tuple[list[Pair], Counter[str]]:
    """All usable pairs of a data set, in order, and the number of faults of each kind; `root` as for `read_pairs`.

    With `decode` each picture is decoded once, in `threads` threads (0: one per core); without, picture files are only
    checked for existence. `advance` is called after each record. Raises DataError if there is no usable pair or, unless
    `skip_bad`, if there are faults, with the count of each kind and the first few of each.
    """
    pairs: list[Pair] = []
    faults = Faults()
    for item in _checked(_placed(source, root), _decoded if decode else _existing, threads):
        if isinstance(item, Pair):
            pairs.append(item)
        else:
            faults.add(item)
        advance(1)
    if faults.counts and not (skip_bad and pairs):
        raise faults.error(str(source), len(pairs), "skip_bad")
    if not pairs:
        raise DataError(f"expected pictures with prompts in {printable(str(source))}, found none; check the path")
    return pairs, faults.counts


def _placed(source: str | Path, root: str | Path | None) -> Iterator[tuple[str, Pair] | Fault]:
    """Each pair with its position in the data set."""
    names: set[str] = set()
    for record in _records(os.fspath(source), None if root is None else os.fspath(root)):
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


def _records(source: str, root: str | None, *, alone: bool = False) -> Iterator[Record | Fault]:
    """The records of a source of any kind. Raises DataError or MissingExtraError."""
    if root is not None and not os.path.isdir(root):
        raise DataError(f"expected a folder of pictures for --root, found none at {printable(root)}; check the path")
    if source.startswith(HUB_PREFIX):
        _check_rootless(source, root)
        return hub_records(source, alone=alone)
    if os.path.isdir(source):
        return _folder_records(source, root, alone=alone)
    if os.path.lexists(source):
        return _file_records([source], os.path.dirname(source), root, alone=alone)
    if not is_pattern(source):
        raise DataError(f"expected a data set at {printable(source)}, found nothing there; check the path")
    paths = [path for path, _below in matching(source)]
    if not paths:
        raise DataError(f"expected files that match {printable(source)}, found none; check the pattern")
    base = os.path.commonpath([os.path.dirname(path) for path in paths])
    return _file_records(paths, base, root, alone=alone)


def _folder_records(folder: str, root: str | None, *, alone: bool) -> Iterator[Record | Fault]:
    """The records of the first layout that the folder has: beside tars there are often tables that describe them."""
    fixed = glob.escape(folder)
    for pattern, suffixes in _LAYOUTS:
        below = [path for path, _below in matching(os.path.join(fixed, *pattern))]
        if paths := [path for path in below if path.lower().endswith(suffixes)]:
            return _file_records(paths, folder, root, alone=alone)
    check_captioned(folder, root)
    return caption_records(folder, root)


def _file_records(
    paths: Sequence[str], base: str, root: str | None, *, alone: bool = False
) -> Iterator[Record | Fault]:
    """The records of files of one kind, with names relative to `base`, or to `root` if it is given."""
    names = [path.lower() for path in paths]
    if all(name.endswith(ARCHIVE_SUFFIXES) for name in names):
        _check_rootless(paths[0], root)
        return archive_records(paths, base)
    if all(name.endswith(PARQUET_SUFFIX) for name in names):
        return parquet_records(paths, base, root=root, alone=alone)
    if all(name.endswith(TABLE_SUFFIXES) for name in names):
        return chain.from_iterable(table_records(path, base, root=root, alone=alone) for path in paths)
    kinds = ", ".join((*TABLE_SUFFIXES, PARQUET_SUFFIX, *ARCHIVE_SUFFIXES))
    found = ", ".join(sorted({os.path.splitext(name)[1] or name for name in names}))
    raise DataError(f"expected a folder, hub:OWNER/NAME, or files of one kind ({kinds}), found {printable(found)}")


def _check_rootless(source: str, root: str | None) -> None:
    """Raises DataError if a root was given for a source that holds its pictures."""
    if root is not None:
        raise DataError(f"expected a list or a folder of texts with --root, found {printable(source)}; omit --root")


def _checked(
    placed: Iterator[tuple[str, Pair] | Fault], check: Callable[[str, ImageRef], Fault | None], threads: int
) -> Iterator[Pair | Fault]:
    """Pairs whose pictures were checked by threads, in order; a bounded number wait in memory."""
    threads = threads or core_count()

    def result(item: tuple[str, Pair] | Fault) -> Pair | Fault:
        if isinstance(item, Fault):
            return item
        where, pair = item
        return check(where, pair.picture) or pair

    with ThreadPoolExecutor(threads, "checking") as pool:
        yield from in_order(pool, result, placed, _AHEAD * threads)


def _decoded(where: str, picture: ImageRef) -> Fault | None:
    answer = decode(picture, shorter_side=_CHECKED_SIDE, read_metadata=False)
    if not isinstance(answer, Failure):
        return None
    if answer.kind == "not-found" and picture.file is not None:
        return _missing(where, picture.file)
    kind = "missing-file" if answer.kind == "not-found" else "broken-picture"
    return Fault(kind, where, f"{printable(picture.source)}: {answer.message}")


def _existing(where: str, picture: ImageRef) -> Fault | None:
    if picture.file is None or os.path.isfile(picture.file):
        return None
    return _missing(where, picture.file)


def _missing(where: str, path: str) -> Fault:
    message = f"expected a picture at {printable(path)}, found no file; check the path, or give its folder as --root"
    return Fault("missing-file", where, message)
