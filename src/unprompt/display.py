"""Text that people read in a terminal."""

from __future__ import annotations

import re

NO_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""Line ends and other control characters, which a single line cannot contain."""


def printable(text: str) -> str:
    """Escape what a terminal would interpret or cannot show: control characters, lone surrogates."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


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
