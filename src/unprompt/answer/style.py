"""The styles in which a decoder words an answer: the same vector, other words."""

from __future__ import annotations

from unprompt.errors import UnknownNameError
from unprompt.prediction import STYLES, Style


def check_style(style: Style) -> Style:
    """The style. Raises UnknownNameError if there is none of this name."""
    if style not in STYLES:
        raise UnknownNameError("style", style, STYLES)
    return style
