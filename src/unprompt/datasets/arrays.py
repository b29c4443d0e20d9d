"""A JSON array of records in one file, as LLaVA and many exports have it; read piece by piece, never as a whole."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from unprompt.datasets.records import Fault, shown
from unprompt.display import printable
from unprompt.errors import DataError, PictureError
from unprompt.images.files import opened
from unprompt.images.lists import LINE_LIMIT

_CHUNK = LINE_LIMIT
_SPACE = re.compile(r"[\s,]*")
# A string without its closing quote ends where the text read so far does.
_TOKEN = re.compile(r'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*(?P<closed>"?)', re.DOTALL)
_SCALAR = re.compile(r"[^\s,\[\]{}\"]+")


def array_items(path: str) -> Iterator[tuple[str, str | Fault]]:
    """The text of each item of a JSON array, with its number from 1; nothing is parsed but brackets and strings.

    A file of JSON lines by this name is one item per object. Raises DataError if the file cannot be read.
    """
    shown_path = printable(path)
    try:
        with opened(path) as file:
            decoder = codecs.getincrementaldecoder("utf-8-sig")()
            yield from _items(iter(lambda: file.read(_CHUNK), b""), decoder, shown_path)
    except PictureError as error:
        raise DataError(f"expected a data set at {shown_path}: {error}") from error


def _items(chunks: Iterator[bytes], decoder: codecs.IncrementalDecoder, path: str) -> Iterator[tuple[str, str | Fault]]:
    text, at, number, ended = "", 0, 0, False
    in_array: bool | None = None
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if in_array is None and at < len(text):
            in_array = text[at] == "["
            at += in_array
            continue
        if in_array and at < len(text) and text[at] == "]":
            return
        end = _end_of_item(text, at, ended)
        if end is not None:
            number += 1
            yield f"{path}, record {number}", text[at:end]
            at = end
            continue
        where = f"{path}, record {number + 1}"
        if ended:
            if in_array or at < len(text):
                expected = "expected a whole JSON array of records"
                yield where, Fault("broken-file", where, f"{expected}, found its end early, or {shown(text[at:])}")
            return
        if len(text) - at > LINE_LIMIT:
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
