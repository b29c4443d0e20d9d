"""Text that people read in a terminal."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

NO_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""Line ends and other control characters, which a single line cannot contain."""


def printable(text: str) -> str:
    """Escape what a terminal would interpret or cannot show: control characters, lone surrogates."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def width(text: str) -> int:
    """The columns that a text takes on a terminal: two for a wide character, none for a combining one."""
    return len(text) if text.isascii() else sum(map(_columns, text))


@functools.lru_cache(2**12)
def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, columns: int, *, keep_end: bool = False) -> str:
    """Shorten a text to so many columns; "..." stands for its end or, with `keep_end`, for its beginning."""
    if width(text) <= columns:
        return text
    if keep_end:
        return "..." + _beginning(text[::-1], columns - 3)[::-1]
    return _beginning(text, columns - 3) + "..."


def _beginning(text: str, columns: int) -> str:
    """As much of a text as fits."""
    used = 0
    for place, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            return text[:place]
    return text


def wrapped(text: str, columns: int) -> list[str]:
    """Break a text between words into lines of at most so many columns; a longer word is broken, too."""
    lines: list[str] = []
    line: list[str] = []
    used = 0
    for piece in _pieces(text, columns):
        size = width(piece)
        if line and used + 1 + size > columns:
            lines.append(" ".join(line))
            line, used = [], 0
        used += size + bool(line)
        line.append(piece)
    return [*lines, " ".join(line)]


def _pieces(text: str, columns: int) -> Iterator[str]:
    for word in text.split(" "):
        start = used = 0
        for place, character in enumerate(word):
            used += _columns(character)
            if used > columns and place > start:
                yield word[start:place]
                start, used = place, _columns(character)
        yield word[start:]


def first_line(error: BaseException) -> str:
    """The first line of an error's message; in the next ones, libraries advise developers."""
    return printable(next(iter(str(error).splitlines()), type(error).__name__))


def duration(seconds: float) -> str:
    """Format a duration in two units: 3725 -> "1 h 2 min"."""
    minutes, rest = divmod(round(seconds), 60)
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def one_line(text: str) -> str:
    """Replace line ends and other control characters by spaces, and strip the text."""
    return NO_LINE.sub(" ", text).strip()
