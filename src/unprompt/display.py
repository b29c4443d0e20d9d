"""Text that a terminal can show."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey or refuse: control characters, lone surrogates."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
