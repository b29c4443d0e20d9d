"""The rows of a submission file, whoever wrote it: read fast, in bounded memory, with all that is wrong about them.

    imgId_eId,val
    20057f34d_0,0.018848453

imgId is a picture's name without its suffix, eId a place in its vector, 0 to 383. Kaggle joins rows by their key, so
that their order is free.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.prediction import EMBEDDING_SIZE, Vector

HEADER = "imgId_eId,val"

IMAGES_LIMIT = 100_000
"""Images that are read from one file; the hidden test has about 16,000. Each takes 2 KB of memory."""

LINE_LIMIT = 1024
"""Bytes that a row may have; a longer one is unparsable."""

EXAMPLES = 5
"""Keys, images or lines that are kept of each finding."""

KINDS = ("empty", "header", "unparsable", "eId", "duplicate", "extra", "missing", "non-finite", "zero-length")
"""What can be wrong with a submission."""

_CHUNK_BYTES = 2**20
_BOM = b"\xef\xbb\xbf"
_SUFFIXES = tuple(b"_%d" % place for place in range(EMBEDDING_SIZE))
_PLACES = {suffix[1:]: place for place, suffix in enumerate(_SUFFIXES)}
# No part of it can match in two ways, or a hostile row would take a thousand times as long as another.
_NUMBER = re.compile(rb"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE)
_NUMBER_CHARACTERS = b"0123456789+-.eE\r"
_NUMBER_LIMIT = 64  # characters of a number that is read fast
_EXCERPT = 40  # characters of a line that is shown


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: one of `KINDS`, how often, and the first few keys, images or lines."""

    kind: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{self.count:,} {self.kind} ({', '.join(self.examples)}{more})"


class Rows:
    """Values by image and eId, in the order in which images first appear, and the findings about them.

    Where images are `wanted` there are no others, and these are in that order.
    """

    def __init__(self, wanted: Sequence[str] | None = None) -> None:
        self.count = 0
        self._lines = 0
        self._numbers = {image.encode(): number for number, image in enumerate(wanted or ())}
        self._any_image = wanted is None
        size = IMAGES_LIMIT if wanted is None else len(wanted)
        # The system gives zeros their memory when something is written there: the table costs what is used of it.
        self._values = np.zeros((size, EMBEDDING_SIZE), np.float32)
        self._seen = np.zeros((size, EMBEDDING_SIZE), np.bool_)
        self._found: dict[str, tuple[int, list[str]]] = {}

    @property
    def images(self) -> tuple[str, ...]:
        """The images that are wanted or, where any are, that were found."""
        return tuple(image.decode() for image in self._numbers)

    @property
    def values(self) -> Vector:
        """(images, 384) float32; 0 where there is no row."""
        return self._values[: len(self._numbers)]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, in the order of `KINDS`."""
        found = ((kind, *self._found[kind]) for kind in KINDS if kind in self._found)
        return tuple(Finding(kind, count, tuple(examples)) for kind, count, examples in found)

    def take(self, lines: Sequence[bytes]) -> None:
        """Take the next lines of the file. Raises DataError for too many images."""
        at = 0
        if not self._lines:
            self._take_header(lines[0])
            at = 1
        while at < len(lines):
            if self._take_image(lines, at):
                at += EMBEDDING_SIZE
            else:
                self._take_line(lines[at], self._lines + at + 1)
                at += 1
        self._lines += len(lines)

    def finish(self) -> None:
        """Find what shows only when all rows are there: what is missing, not finite, or of no length."""
        if not self.count:
            self._find("empty", ["no rows"])
        images, values, seen = self.images, self.values, self._seen[: len(self._numbers)]
        whole, finite = seen.all(axis=1), np.isfinite(values)
        for number in np.flatnonzero(~whole):
            missing = np.flatnonzero(~seen[number])
            keys = (f"{images[number]}_{place}" for place in missing)
            whole_image = [f"{images[number]}_0 to {images[number]}_{EMBEDDING_SIZE - 1}"]
            self._find("missing", keys if len(missing) < EMBEDDING_SIZE else whole_image, len(missing))
        for number in np.flatnonzero(~finite.all(axis=1)):
            places = np.flatnonzero(~finite[number])
            self._find("non-finite", (f"{images[number]}_{place}" for place in places), len(places))
        for number in np.flatnonzero(whole & ~values.any(axis=1)):
            self._find("zero-length", [images[number]])

    def _find(self, kind: str, examples: Iterable[str], count: int = 1) -> None:
        before, kept = self._found.get(kind, (0, []))
        kept += map(printable, itertools.islice(examples, EXAMPLES - len(kept)))
        self._found[kind] = before + count, kept

    def _take_header(self, line: bytes) -> None:
        header = line[:LINE_LIMIT].removeprefix(_BOM).removesuffix(b"\r").decode("utf-8", "replace")
        if header.replace('"', "") != HEADER:
            self._find("header", [header[:_EXCERPT] or "an empty line"])

    def _take_image(self, lines: Sequence[bytes], at: int) -> bool:
        """Take the lines of one image at once, where they are all there, in order and sound, as most are."""
        image, found, _ = lines[at].partition(_SUFFIXES[0] + b",")
        # The last line is looked at before the others: where rows are shuffled, this is all that they cost here.
        if not found or len(lines) < at + EMBEDDING_SIZE:
            return False
        if not lines[at + EMBEDDING_SIZE - 1].startswith(image + _SUFFIXES[-1]):
            return False
        keys, _, texts = zip(*[line.partition(b",") for line in lines[at : at + EMBEDDING_SIZE]], strict=True)
        if keys != tuple([image + suffix for suffix in _SUFFIXES]) or not self._is_image(image):
            return False
        if b"".join(texts).translate(None, _NUMBER_CHARACTERS) or max(map(len, texts)) > _NUMBER_LIMIT:
            return False
        try:
            values = np.array(list(map(float, texts)))
        except ValueError:
            return False
        row = self._row(image)
        if row is None or self._seen[row].any():
            return False
        self.count += EMBEDDING_SIZE
        self._values[row] = values
        self._seen[row] = True
        return True

    def _take_line(self, line: bytes, number: int) -> None:
        line = line.removesuffix(b"\r")
        if not line:
            return
        self.count += 1
        key, text = map(_unquoted, line.partition(b",")[::2])
        text = text.strip(b" \t")  # as every reader has it
        image, _, place = key.rpartition(b"_")
        if len(line) > LINE_LIMIT or not self._is_image(image) or not _NUMBER.fullmatch(text):
            self._find("unparsable", [f"line {number}: {_text(line)}"])
            return
        at, row = _PLACES.get(place), self._row(image)
        if at is None or row is None:
            self._find("eId" if at is None else "extra", [_text(key)])
        elif self._seen[row, at]:
            self._find("duplicate", [_text(key)])
        else:
            self._seen[row, at] = True
            self._values[row, at] = float(text)

    def _is_image(self, image: bytes) -> bool:
        """Whether these bytes can be an image's name."""
        if image in self._numbers:
            return True
        try:
            return bool(image) and b'"' not in image and image.decode().isprintable()
        except UnicodeDecodeError:
            return False

    def _row(self, image: bytes) -> int | None:
        """Where the image's values are; None where it is not wanted."""
        row = self._numbers.get(image)
        if row is None and self._any_image:
            row = len(self._numbers)
            if row == IMAGES_LIMIT:
                raise DataError(f"expected at most {IMAGES_LIMIT:,} images, found more; is it a submission?")
            self._numbers[image] = row
        return row


def read_rows(path: str | os.PathLike[str], wanted: Sequence[str] | None = None) -> Rows:
    """All rows of a file, and what is wrong with them. Raises DataError where it cannot be read."""
    rows = Rows(wanted)
    try:
        with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, and is found as such
            for lines in _lines(path):
                rows.take(lines)
    except OSError as error:
        name, reason = printable(os.fspath(path)), error.strerror or type(error).__name__
        raise DataError(f"expected a submission at {name}, found: {reason}; check the path") from error
    rows.finish()
    return rows


def _lines(path: str | os.PathLike[str]) -> Iterator[list[bytes]]:
    """The lines, some at a time; of one that is too long, no more than shows that it is."""
    with open(path, "rb") as file:
        rest = b""
        while chunk := file.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[: LINE_LIMIT + 1]
            if lines:
                yield lines
        if rest:
            yield [rest]


def _unquoted(cell: bytes) -> bytes:
    return cell[1:-1] if cell.startswith(b'"') and cell.endswith(b'"') and len(cell) > 1 else cell


def _text(data: bytes) -> str:
    return data[:_EXCERPT].decode("utf-8", "replace")
