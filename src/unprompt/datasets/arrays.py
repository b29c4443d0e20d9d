"""Records in one JSON file, read piece by piece, never as a whole.

They are items of an array, as LLaVA and many exports have them, or members of an object, as kohya's trainers do.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from unprompt.datasets.records import Fault, shown
from unprompt.display import printable
from unprompt.errors import DataError, PictureError
from unprompt.images.files import opened
from unprompt.images.lists import LINE_LIMIT
from unprompt.images.metadata.bounded_json import parse

_CHUNK = LINE_LIMIT
_SPACE = re.compile(r"[\s,]*")
# A string without its closing quote ends where the text read so far does.
_TOKEN = re.compile(r'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*(?P<closed>"?)', re.DOTALL)
_SCALAR = re.compile(r"[^\s,\[\]{}\"]+")
_NAME = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"\s*:\s*', re.DOTALL)
_NAMED_RECORD = re.compile(rf"\{{\s*{_NAME.pattern}\{{", re.DOTALL)

_Sign: TypeAlias = Literal["[", "{", ""]
"""What a file's records are held by: an array, an object with their names, or nothing."""


def record_texts(path: str) -> Iterator[tuple[str, str | Fault]]:
    """The text of each record of a JSON file, with its number from 1; of what is between, only brackets are looked at.

    An item of an array is one, and so is each member of an object whose values are objects, as an object of its own:
    {"NAME": {...}}. A file of JSON lines by this name is one per object. Raises DataError if the file cannot be read.
    """
    shown_path = printable(path)
    try:
        with opened(path) as file:
            decoder = codecs.getincrementaldecoder("utf-8-sig")()
            yield from _texts(iter(lambda: file.read(_CHUNK), b""), decoder, shown_path)
    except PictureError as error:
        raise DataError(f"expected a data set at {shown_path}: {error}") from error


def _texts(chunks: Iterator[bytes], decoder: codecs.IncrementalDecoder, path: str) -> Iterator[tuple[str, str | Fault]]:
    text, at, number, ended = "", 0, 0, False
    sign: _Sign | None = None
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if sign is None and at < len(text):
            sign = _held_by(text, at, ended)
            at += len(sign or "")
            if sign:
                continue
        if sign == "[" and text.startswith("]", at):
            return
        if sign == "{" and text.startswith("}", at):
            at, sign = at + 1, None  # lines of objects, each with a record of its own, follow each other
            continue
        end = None if sign is None else _end_of_record(text, at, ended, sign)
        if end is not None:
            number += 1
            yield f"{path}, record {number}", f"{{{text[at:end]}}}" if sign == "{" else text[at:end]
            at = end
            continue
        where = f"{path}, record {number + 1}"
        if ended:
            if sign or at < len(text):
                expected = f"expected a whole JSON {'object' if sign == '{' else 'array'} of records"
                yield where, Fault("broken-file", where, f"{expected}, found its end early, or {shown(text[at:])}")
            return
        if len(text) - at > LINE_LIMIT and sign is not None:
            expected = f"expected records of at most {LINE_LIMIT:,} characters"
            yield where, Fault("broken-file", where, f"{expected}, found a longer one; the rest is not read")
            return
        chunk = next(chunks, b"")
        ended = not chunk
        try:
            text, at = text[at:] + decoder.decode(chunk, final=ended), 0
        except UnicodeDecodeError as error:
            yield where, Fault("broken-file", where, f"expected UTF-8, found {error.reason}; save the file as UTF-8")
            return


def _held_by(text: str, at: int, ended: bool) -> _Sign | None:
    """What the records from `at` on are held by; None if more has to be read to know."""
    if text[at] != "{":
        return "[" if text[at] == "[" else ""
    end = _end_of_item(text, at, ended)
    if end is None and not ended and len(text) - at <= LINE_LIMIT:
        return None
    # A line's record may hold objects, too, but not these alone: its picture and its prompt are texts.
    first = None if end is None else parse(text[at:end])
    if isinstance(first, dict):
        return "{" if first and all(isinstance(value, dict) for value in first.values()) else ""
    return "{" if _NAMED_RECORD.match(text, at) else ""


def _end_of_record(text: str, at: int, ended: bool, sign: _Sign) -> int | None:
    """As `_end_of_item`; in an object, its name comes first."""
    if sign != "{":
        return _end_of_item(text, at, ended)
    name = _NAME.match(text, at)
    return None if name is None or name.end() == len(text) else _end_of_item(text, name.end(), ended)


def _end_of_item(text: str, at: int, ended: bool) -> int | None:
    """Where the item that begins at `at` ends; None if what follows has to be read first, or nothing begins there."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        if depth == 0 and token.start() != at:
            break
        sign = token[0]
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
        elif not token["closed"]:
            return None
        if depth <= 0:
            return token.end()
    scalar = _SCALAR.match(text, at)
    return scalar.end() if scalar and depth == 0 and (ended or scalar.end() < len(text)) else None
