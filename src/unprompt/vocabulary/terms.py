"""One term: how untrusted text is cleaned, and how a weight is written beside it."""

from __future__ import annotations

import re

LONGEST_TERM = 200
"""Maximum length of a term in characters: no text encoder reads more than that."""
LARGEST_WEIGHT = 10.0

# Whitespace, control characters, line and paragraph separators, direction marks (which reorder whatever a terminal
# prints after them), zero-width spaces, and lone surrogates, which cannot be encoded. Joiners stay: scripts and emoji
# need them.
_GAPS = re.compile("[\\s\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_WEIGHTED = re.compile(r"\((.*):\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*\)")


def clean(text: str) -> str:
    """Return the text on one line, without control characters, direction marks, and commas at its ends.

    The result may be empty. Cleaning is idempotent.
    """
    if not text.isprintable() or "  " in text:  # most need no substitution, the costliest step
        text = _GAPS.sub(" ", text)
    return text.strip(" ,")


def weighted(text: str) -> tuple[str, float] | None:
    """Term and weight of a clean text in AUTOMATIC1111's notation, "(golden hour:1.3)"; None for any other text.

    The weight may be out of range: callers check it.
    """
    found = _WEIGHTED.fullmatch(text)
    return (clean(found[1]), float(found[2])) if found else None
