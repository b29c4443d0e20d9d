"""Folders of pictures with their texts beside them, as trainers keep them: cat.png and cat.txt or cat.caption.

Source: library/train_util.py of kohya-ss/sd-scripts, `DreamBoothDataset`; for the names of folders, such as
10_sks dog, library/config_util.py, `generate_dreambooth_subsets_config_by_subdirs`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from unprompt.datasets.places import shown_folder
from unprompt.datasets.records import PROMPT_KEYS, Fault, Record, key_of
from unprompt.display import printable
from unprompt.errors import DataError, PictureError
from unprompt.images.archives import TEXT_LIMIT
from unprompt.images.files import LocalFile, opened
from unprompt.images.folders import pictures_below
from unprompt.images.formats import ARCHIVE_SUFFIXES, PICTURE_SUFFIXES
from unprompt.images.metadata.beside import written_as_text
from unprompt.images.metadata.bounded_json import parse_object
from unprompt.images.ref import ImageRef, relative_name
from unprompt.images.selection import Selection

CAPTION_SUFFIXES = (".txt", ".caption")
"""Suffixes of texts beside pictures, the first that holds a text counts."""

_JSON = ".json"
_TEXTS = (*CAPTION_SUFFIXES, _JSON)
_LISTS = (".jsonl", ".csv", ".tsv", _JSON)
_REPEATED = re.compile(r"(?P<repeats>\d{1,6})_(?P<tokens>.+)")
_SETTINGS = "Steps:"  # in every infotext
_HELD = 100_000  # names that are held to find out where the texts are


def caption_records(folder: str, root: str | None = None) -> Iterator[Record | Fault]:
    """The pictures below a folder with the texts beside them, in order; pictures without a text are faults.

    With `root`, the pictures lie there, and the texts in the same tree below `folder`. The first line of a text is the
    prompt; if there are more, all of them are `captions`. An infotext of a generator counts by its prompt. The name of
    a picture's folder, such as 10_sks dog, gives `num_repeats` and `class_tokens`. A .json counts where the others hold
    no text, with its fields.
    """
    for path, below in pictures_below(folder if root is None else root, Selection(tuple(PICTURE_SUFFIXES))):
        if below.lower().endswith(ARCHIVE_SUFFIXES):
            continue
        stem = os.path.splitext(path if root is None else os.path.join(folder, below))[0]
        fields = _fields(stem)
        if isinstance(fields, Fault):
            yield fields
            continue
        name = relative_name(below)
        record = {**_of_folder(path), **fields}
        yield Record(printable(stem), name, ImageRef(path, LocalFile(path), name), record)


def text_fields(text: str) -> dict[str, Any]:
    """The prompt that a text beside a picture holds and, of several lines, all as `captions`; empty without any."""
    if _SETTINGS in text and (written := written_as_text(text)) is not None and written.prompt:
        return {"prompt": written.prompt}
    lines = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()]
    return {"prompt": lines[0], **({"captions": lines} if len(lines) > 1 else {})} if lines else {}


def check_captioned(folder: str, root: str | None = None) -> None:
    """Raises DataError, with what to do, if no picture has a text in its place. Stops at the first that has."""
    pictures: dict[str, str] = {}
    texts: dict[str, str] = {}
    for place in dict.fromkeys((folder, root or folder)):
        for path, below in pictures_below(place, Selection((*PICTURE_SUFFIXES, *_TEXTS))):
            stem, suffix = os.path.splitext(below)
            if suffix.lower() in _TEXTS:
                found, at = texts, folder
            elif any(os.path.isfile(os.path.join(folder, stem + text)) for text in _TEXTS):
                return
            else:
                found, at = pictures, root or folder
            if place == at and len(found) < _HELD:
                found[stem] = path
    raise DataError(_advice(folder, root, pictures, texts))


def _advice(folder: str, root: str | None, pictures: dict[str, str], texts: dict[str, str]) -> str:
    """What is there instead of pictures with texts, and what to do."""
    expected = "expected pictures with a .txt or .caption beside each"
    if listed := _list_in(folder):
        others = "metadata.jsonl or metadata.csv"
        return f"{expected}, or {others}, found neither in the folder {shown_folder(folder)}; name the list: {listed}"
    where = f"in the folder {shown_folder(folder)}"
    if moved := _moved(pictures, texts):
        apart, of_texts = moved
        found = f"found pictures in {shown_folder(apart)} and their texts in {shown_folder(of_texts)}"
        return f"{expected}, {found}; name the folder of the texts, and that of the pictures with --root"
    if pictures:
        beside = _sibling(root or folder, pictures, _TEXTS)
        example = printable(os.path.splitext(next(iter(pictures.values())))[0])
        found = f"found pictures without texts {where}"
        if beside:
            return (
                f"{expected}, {found}, and texts in {shown_folder(beside)}; name that, with --root {printable(folder)}"
            )
        return f"{expected}, {found}; write {example}.txt, or a metadata.jsonl that names the pictures"
    if texts:
        apart = _sibling(folder, texts, tuple(sorted(PICTURE_SUFFIXES)))
        root_is = printable(apart) if apart else "FOLDER"
        return f"{expected}, found texts without pictures {where}; name the folder of the pictures: --root {root_is}"
    others = "metadata.jsonl or metadata.csv in it or one level down, .tar or .parquet files"
    return f"{expected}, {others}, found none of these {where}; name the file itself"


def _list_in(folder: str) -> str:
    """A file in the folder that may be the list of its pictures; empty if there is none."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.lower().endswith(_LISTS) and entry.is_file())
    except OSError:
        return ""
    arrays = [name for name in names if name.lower().endswith(_JSON)]
    lists = [name for name in names if name not in arrays] or (arrays if len(arrays) == 1 else [])
    return printable(os.path.join(folder, lists[0])) if lists else ""


def _moved(pictures: dict[str, str], texts: dict[str, str]) -> tuple[str, str] | None:
    """The folders of pictures and of texts where a text has the name of a picture in another folder."""
    by_name = {os.path.basename(stem): path for stem, path in texts.items()}
    for stem, path in pictures.items():
        if text := by_name.get(os.path.basename(stem)):
            return _without_common_end(os.path.dirname(path), os.path.dirname(text))
    return None


def _without_common_end(first: str, second: str) -> tuple[str, str]:
    while os.path.basename(first) == os.path.basename(second) and os.path.dirname(first) != first:
        first, second = os.path.dirname(first), os.path.dirname(second)
    return first, second


def _sibling(folder: str, belows: dict[str, str], suffixes: tuple[str, ...]) -> str:
    """A folder beside this one that holds a file of one of these names; empty if none does."""
    stem = next(iter(belows))
    parent = os.path.dirname(os.path.abspath(folder))
    try:
        with os.scandir(parent) as entries:
            others = sorted(entry.path for entry in entries if entry.is_dir())
    except OSError:
        return ""
    for other in others:
        if any(os.path.isfile(os.path.join(other, stem + suffix)) for suffix in suffixes):
            return os.path.relpath(other) if not os.path.isabs(folder) else other
    return ""


def _fields(stem: str) -> dict[str, Any] | Fault:
    """What the files beside a picture say of it, by their common path without suffix."""
    where = printable(stem)
    empty = ""
    for suffix in _TEXTS:
        try:
            with opened(stem + suffix) as file:
                data = file.read(TEXT_LIMIT + 1)
        except PictureError as error:
            if error.kind == "not-found":
                continue
            return Fault("broken-record", where + suffix, str(error))
        if len(data) > TEXT_LIMIT:
            return Fault("broken-record", where + suffix, f"expected a text of at most {TEXT_LIMIT:,} bytes")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            message = f"expected a text in UTF-8, found {error.reason}; save the file as UTF-8"
            return Fault("broken-record", where + suffix, message)
        if fields := _of_json(text) if suffix == _JSON else text_fields(text):
            return fields
        empty = empty or suffix
    if empty:
        return Fault("empty-prompt", where + empty, "expected the text of the picture beside it, found none; write it")
    name = printable(os.path.basename(stem))
    message = f"expected a text beside the picture, found none; write {name}.txt or {name}.caption, or move it away"
    return Fault("missing-text", where, message)


def _of_json(text: str) -> dict[str, Any]:
    fields = parse_object(text)
    return fields if key_of(PROMPT_KEYS, fields) is not None else {}


def _of_folder(path: str) -> dict[str, Any]:
    """What the name of a picture's folder says to kohya's trainers."""
    found = _REPEATED.fullmatch(os.path.basename(os.path.dirname(os.path.abspath(path))))
    return {"num_repeats": int(found["repeats"]), "class_tokens": found["tokens"]} if found else {}
