"""The rows of a submission file: read fast, in bounded memory, with a report of everything that is wrong.

    imgId_eId,val
    20057f34d_0,0.018848453

imgId is a picture's name without its suffix, eId an index into its vector, 0 to 383. Kaggle joins rows by key, so they
may come in any order.
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
"""Maximum number of images read from one file; the hidden test has about 16,000. Each takes 2 KB of memory."""

LINE_LIMIT = 1024
"""Maximum length of a row in bytes; a longer one is unparsable."""

EXAMPLES = 5
"""Number of keys, images or lines kept for each finding."""

KINDS = ("empty", "header", "unparsable", "eId", "duplicate", "extra", "missing", "non-finite", "zero-length")
"""The kinds of findings, in the order in which they are reported."""

_CHUNK_BYTES = 2**20
_BOM = b"\xef\xbb\xbf"
_SUFFIXES = tuple(b"_%d" % place for place in range(EMBEDDING_SIZE))
_PLACES = {suffix[1:]: place for place, suffix in enumerate(_SUFFIXES)}
# No part of it can match in two ways, so a hostile row causes no backtracking.
_NUMBER = re.compile(rb"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE)
_NUMBER_CHARACTERS = b"0123456789+-.eE\r"
_NUMBER_LIMIT = 64  # maximum characters of a number on the fast path
_EXCERPT = 40  # characters of a line that messages show


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a file: one of `KINDS`, how often it occurs, and the first few keys, images or lines."""

    kind: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{self.count:,} {self.kind} ({', '.join(self.examples)}{more})"


class Rows:
    """Values by image and eId, images in order of first appearance, and the findings about them.

    With `wanted`, only these images count, in the order given.
    """

    def __init__(self, wanted: Sequence[str] | None = None) -> None:
        self.count = 0
        self._lines = 0
        self._numbers = {image.encode(): number for number, image in enumerate(wanted or ())}
        self._any_image = wanted is None
        size = IMAGES_LIMIT if wanted is None else len(wanted)
        # The system allocates zeroed pages on the first write, so the table takes only the memory that is used.
        self._values = np.zeros((size, EMBEDDING_SIZE), np.float32)
        self._seen = np.zeros((size, EMBEDDING_SIZE), np.bool_)
        self._found: dict[str, tuple[int, list[str]]] = {}

    @property
    def images(self) -> tuple[str, ...]:
        """The wanted images or, if any image counts, those found."""
        return tuple(image.decode() for image in self._numbers)

    @property
    def values(self) -> Vector:
        """The vectors (images, 384) float32; 0 where no row was found."""
        return self._values[: len(self._numbers)]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, in the order of `KINDS`."""
        found = ((kind, *self._found[kind]) for kind in KINDS if kind in self._found)
        return tuple(Finding(kind, count, tuple(examples)) for kind, count, examples in found)

    def take(self, lines: Sequence[bytes]) -> None:
        """Take the next lines of the file. Raises DataError if there are too many images."""
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
        """Add the findings that need all rows: values that are missing or not finite, vectors of length zero."""
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
        """Take all lines of one image at once if they are complete, in order and sound, as most are."""
        image, found, _ = lines[at].partition(_SUFFIXES[0] + b",")
        # The last line is checked before the others, so that shuffled rows leave the fast path early.
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
        text = text.strip(b" \t")  # as every csv reader does
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
        """Whether these bytes can be the name of an image."""
        if image in self._numbers:
            return True
        try:
            return bool(image) and b'"' not in image and image.decode().isprintable()
        except UnicodeDecodeError:
            return False

    def _row(self, image: bytes) -> int | None:
        """The image's index in the table; None if it is not wanted."""
        row = self._numbers.get(image)
        if row is None and self._any_image:
            row = len(self._numbers)
            if row == IMAGES_LIMIT:
                raise DataError(f"expected at most {IMAGES_LIMIT:,} images, found more; is it a submission?")
            self._numbers[image] = row
        return row


def read_rows(path: str | os.PathLike[str], wanted: Sequence[str] | None = None) -> Rows:
    """Read all rows of a file and find what is wrong with them. Raises DataError if the file cannot be read."""
    rows = Rows(wanted)
    try:
        with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, which is a finding
            for lines in _lines(path):
                rows.take(lines)
    except OSError as error:
        name, reason = printable(os.fspath(path)), error.strerror or type(error).__name__
        raise DataError(f"expected a submission at {name}, found: {reason}; check the path") from error
    rows.finish()
    return rows


def _lines(path: str | os.PathLike[str]) -> Iterator[list[bytes]]:
    """The lines, in chunks; a line that is too long is cut just beyond the limit."""
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
