"""Tars in WebDataset's layout: 000.jpg with its prompt in 000.txt, with fields in 000.json, or both."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from unprompt.datasets.records import Fault, Record, shown
from unprompt.display import printable
from unprompt.errors import DataError, PictureError
from unprompt.images.archives import files
from unprompt.images.files import Bytes
from unprompt.images.formats import PICTURE_SUFFIXES
from unprompt.images.metadata.bounded_json import parse
from unprompt.images.ref import ImageRef, Readable, relative_name

HELD_LIMIT_MB = 512
"""Maximum size of the pictures held in memory: in a gzipped tar, nothing can be read without all that precedes it."""

_FILES_LIMIT = 16  # per sample
_TEXT, _JSON = ".txt", ".json"


def archive_records(paths: Iterable[str], root: str) -> Iterator[Record | Fault]:
    """The samples of tars, each named by its picture's path relative to `root`, as if the tars were folders.

    As in WebDataset, the files of a sample are adjacent and share their name up to the first dot. Raises DataError if
    gzipped tars hold more than HELD_LIMIT_MB of pictures.
    """
    held = 0
    for path in paths:
        shard = os.path.relpath(path, root or os.curdir)
        try:
            for key, sample in groupby(files(path, frozenset({_TEXT, _JSON})), lambda file: _key(file[0])):
                item = _record(path, shard, key, list(islice(sample, _FILES_LIMIT + 1)))
                picture = item.picture if isinstance(item, Record) else None
                if picture is not None and isinstance(picture.content, Bytes):
                    held += len(picture.content.data)
                if held > HELD_LIMIT_MB * 1_000_000:
                    raise DataError(
                        f"expected at most {HELD_LIMIT_MB} MB of pictures in gzipped tars, which have to be held in "
                        f"memory, found more up to {printable(path)}; gunzip them to plain tars"
                    )
                yield item
        except PictureError as error:
            yield Fault("broken-file", printable(path), str(error))


def _record(path: str, shard: str, key: str, sample: list[tuple[str, Readable]]) -> Record | Fault:
    where = printable(f"{path}/{key}")
    if len(sample) > _FILES_LIMIT:
        message = f"expected at most {_FILES_LIMIT} files of one name, found more{_dots(sample, key)}"
        return Fault("broken-record", where, message)
    parts = {name[len(key) :].lower(): (name, content) for name, content in sample}
    if len(parts) < len(sample):
        names = ", ".join(name for name, _content in sample)
        return Fault("duplicate-name", where, f"expected each file once, found {shown(names)}; keep one of each")
    pictures = [part for suffix, part in parts.items() if suffix in PICTURE_SUFFIXES]
    if len(pictures) != 1:
        expected = f"expected one picture such as {shown(key)}.jpg beside its text, found {len(pictures)}"
        advice = _dots(sample, key) or "; pack one with each text"
        return Fault("wrong-columns" if pictures else "missing-file", where, expected + advice)
    if _TEXT not in parts and _JSON not in parts:
        expected = f"expected a prompt in {shown(key)}.txt or {shown(key)}.json beside the picture, found neither"
        advice = _dots(sample, key) or "; pack the files of a sample side by side"
        return Fault("wrong-columns", where, expected + advice)
    fields = _fields(parts, where)
    if isinstance(fields, Fault):
        return fields
    name, content = pictures[0]
    below = relative_name(f"{shard}/{name}")
    return Record(where, below, ImageRef(f"{path}/{name}", content, below), fields)


def _dots(sample: list[tuple[str, Readable]], key: str) -> str:
    """What to do about names with a dot before their suffix, which make one sample of several; empty without them."""
    dotted = next((name for name, _content in sample if name[len(key) :].count(".") > 1), None)
    if dotted is None:
        return ""
    stem, suffix = os.path.splitext(dotted[len(key) :])
    better = key.rpartition("/")[2] + stem.replace(".", "_") + suffix
    return (
        f"; in {shown(dotted.rpartition('/')[2])} the name ends at the first dot, as webdataset and datasets have it, "
        f"and the rest is its kind: pack it as {shown(better)}"
    )


def _fields(parts: dict[str, tuple[str, Readable]], where: str) -> dict[str, Any] | Fault:
    """The fields in the text files of a sample; the .txt is the prompt."""
    fields: dict[str, Any] = {}
    for suffix in (_JSON, _TEXT):
        if suffix not in parts:
            continue
        name, content = parts[suffix]
        try:
            text = content.read().decode("utf-8-sig")
        except PictureError as error:
            return Fault("broken-record", where, f"{shown(name)}: {error}")
        except UnicodeDecodeError as error:
            return Fault("broken-record", where, f"{shown(name)}: expected a text in UTF-8, found {error.reason}")
        if suffix == _TEXT:
            fields["prompt"] = text.strip()
        elif isinstance(record := parse(text), dict):
            fields.update(record)
        else:
            return Fault("broken-record", where, f"{shown(name)}: expected a JSON object, found {shown(text)}")
    return fields


def _key(name: str) -> str:
    """The name up to the first dot in its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]
