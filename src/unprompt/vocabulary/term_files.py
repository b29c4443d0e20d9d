"""Term files: plain text, one term a line. They are untrusted, so every size is bounded and every byte is checked."""

from __future__ import annotations

import codecs
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TextIO

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.vocabulary.category import Category, count_of
from unprompt.vocabulary.terms import LARGEST_WEIGHT, LONGEST_TERM, clean, weighted

SUFFIX = ".txt"
COMMENT = "#"
TOLD = 20
"""Number of dropped lines that are recorded one by one; the rest are only counted."""

_LIMIT_MB = 512
_LIMIT_BYTES = _LIMIT_MB * 10**6
_LONGEST_LINE = 4096  # characters, as they stand in the file
_BLOCK = 2**20
_SHOWN = 60  # characters of a line that messages show
_TOO_LONG = f"longer than {LONGEST_TERM} characters"
_TOP = re.compile(r"(.+)\.top([0-9]{1,9})")


class Dropped(NamedTuple):
    """A line that gave no term: its number, the start of its text, and why it was dropped."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class TermFile:
    """The contents of a file: its category, the first dropped lines, and the number of all dropped lines."""

    path: Path
    category: Category
    dropped: tuple[Dropped, ...]
    dropped_count: int


def term_files(path: Path) -> list[Path]:
    """The file itself, or a folder's .txt files that are not hidden, by name. Raises DataError if there is none."""
    try:
        if not path.is_dir():
            return [path]
        files = sorted(each for each in path.iterdir() if _is_list(each))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(path, error) from error
    if not files:
        raise DataError(
            f"{_shown(path)}: expected a folder with term lists, files that end in {SUFFIX}, found none; "
            "write one term a line into such a file"
        )
    return files


def read_terms(path: Path) -> TermFile:
    """Read the category of a file, named after the file without .txt.

    Lines are UTF-8; # begins a comment; "(golden hour:1.3)" is a term with its weight. `name.top3.txt` sets both the
    count and the limit of the category to 3. Terms of more than 200 characters and repeated terms, in whatever case,
    are dropped. Raises DataError if the file cannot be read, is not UTF-8, holds a weight out of range, or holds no
    term.
    """
    try:
        _check_kind(path)
        with path.open(encoding="utf-8-sig") as file:
            found = _collect(path, file)
    except UnicodeDecodeError as error:
        raise _not_utf_8(path) from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not found.terms:
        dropped = f" (dropped: {found.dropped_count:,})" if found.dropped_count else ""
        raise DataError(f"{_shown(path)}: expected one term a line, found none{dropped}; add some, or remove the file")
    name, limit = _name_and_limit(path)
    count = limit or count_of(name)
    category = Category(name, tuple(found.terms), count, limit, found.weights)
    return TermFile(path, category, tuple(found.dropped), found.dropped_count)


@dataclass(slots=True)
class _Found:
    """What the lines of a file gave so far."""

    terms: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    dropped_count: int = 0

    def drop(self, number: int, text: str, reason: str) -> None:
        self.dropped_count += 1
        if len(self.dropped) < TOLD:
            self.dropped.append(Dropped(number, text[:_SHOWN], reason))


def _collect(path: Path, file: TextIO) -> _Found:
    """Collect the terms in a single loop with as few calls as possible: files may have ten million lines."""
    found = _Found()
    append = found.terms.append
    seen: set[str] = set()
    for number, line in enumerate(_lines(path, file), 1):
        if len(line) > _LONGEST_LINE:  # `_lines` may have cut it, so nothing else can be checked
            if line[0] != COMMENT:
                found.drop(number, line, _TOO_LONG)
            continue
        term = clean(line)
        if not term or line[0] == COMMENT:
            continue
        weight = 1.0
        if term[0] == "(" and (pair := weighted(term)):
            term, weight = pair
            if not 0 < weight <= LARGEST_WEIGHT:
                raise _bad_weight(path, number, line)
            if not term:
                found.drop(number, line, "a weight without a term")
                continue
        if len(term) > LONGEST_TERM:
            found.drop(number, term, _TOO_LONG)
            continue
        key = term.casefold()
        if key in seen:
            found.drop(number, term, "repeats an earlier term")
            continue
        seen.add(term if key == term else key)  # most are lower case: shares the string instead of keeping two
        append(term)
        if weight != 1:
            found.weights[term] = weight
    return found


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    """Iterate over the lines without their ends; a line that is too long is cut just beyond the limit."""
    rest, size = "", 0
    while block := file.read(_BLOCK):
        size += len(block)
        if "\0" in block:
            raise DataError(
                f"{_shown(path)}: expected text, one term a line, found NUL bytes; if it is text, save it as UTF-8"
            )
        if size > _LIMIT_BYTES:  # the file grew while it was read
            raise _too_large(path)
        lines = (rest + block).split("\n")
        rest = lines.pop()[: _LONGEST_LINE + 1]
        yield from lines
    yield rest


def _name_and_limit(path: Path) -> tuple[str, int | None]:
    """The category's name and limit, from the name of the file. Raises DataError for `name.top0.txt`."""
    stem = path.name[: -len(SUFFIX)] if path.name.lower().endswith(SUFFIX) else path.name
    top = _TOP.fullmatch(stem)
    if top is None:
        return stem, None
    if not int(top[2]):
        raise DataError(
            f"{_shown(path)}: expected a number from 1 after .top, found 0; to leave a list out use --without"
        )
    return top[1], int(top[2])


def _is_list(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIX) and not path.name.startswith(".") and path.is_file()


def _check_kind(path: Path) -> None:
    """Raise DataError unless the path is a regular file of acceptable size, OSError if it does not exist."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{_shown(path)}: expected a plain file of terms, found something else")
    if found.st_size > _LIMIT_BYTES:
        raise _too_large(path)


def _not_utf_8(path: Path) -> DataError:
    """An error that names the first line that is not UTF-8. The whole file may be one line, so it is read in blocks."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
                line += block.count(b"\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")  # bytes carried over from the last block hold no line feed
    return DataError(f"{_shown(path)}: line {line} is not UTF-8 text; save the file as UTF-8")


def _bad_weight(path: Path, number: int, line: str) -> DataError:
    return DataError(
        f"{_shown(path)}: line {number}: expected a weight above 0 and up to {LARGEST_WEIGHT:g}, as in "
        f"(golden hour:1.3), found {printable(line[:_SHOWN])!r}; to keep a term out use --exclude"
    )


def _too_large(path: Path) -> DataError:
    return DataError(f"{_shown(path)}: expected a list of at most {_LIMIT_MB} MB, found a larger file; split it")


def _unreadable(path: Path, error: OSError | ValueError) -> DataError:
    reason = error.strerror if isinstance(error, OSError) else None
    return DataError(f"{_shown(path)}: cannot be read: {reason or error}; check the path")


def _shown(path: Path) -> str:
    return printable(str(path))
