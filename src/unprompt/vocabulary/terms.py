"""One term: what is cleaned away from a stranger's text, and the weight that may stand beside it."""

from __future__ import annotations

import re

LONGEST_TERM = 200
"""Characters of a term, at most: no text encoder reads more of it than that."""
LARGEST_WEIGHT = 10.0

# Whitespace, control characters, line and paragraph separators, what turns the direction of writing (a right-to-left
# mark reorders all that is printed behind it), spaces without width, and halves of surrogate pairs, which no file can
# hold. Joiners stay: scripts and emoji need them.
_GAPS = re.compile("[\\s\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_WEIGHTED = re.compile(r"\((.*):\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*\)")


def clean(text: str) -> str:
    """The text on one line, without control characters and marks of direction, and without commas at its ends.

    May be empty. Cleaning twice changes nothing more.
    """
    if not text.isprintable() or "  " in text:  # most are plain, and a search costs more than all the rest
        text = _GAPS.sub(" ", text)
    return text.strip(" ,")


def weighted(text: str) -> tuple[str, float] | None:
    """Term and weight of a clean text in AUTOMATIC1111's notation, "(golden hour:1.3)"; None for all other text.

    The weight is whatever number stands there.
    """
    found = _WEIGHTED.fullmatch(text)
    return (clean(found[1]), float(found[2])) if found else None
