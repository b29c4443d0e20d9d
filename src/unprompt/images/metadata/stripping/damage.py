"""The errors of files that cannot be copied piece by piece."""

from __future__ import annotations

from unprompt.errors import PictureError


def damaged(name: str) -> PictureError:
    """The error for a file whose pieces do not fit together: what is unknown cannot be said to hold no text."""
    return PictureError(
        "truncated",
        f"expected a whole {name}, found one that ends early or is damaged; fetch or export it again",
    )


def fragmented(name: str, limit: int) -> PictureError:
    """The error for a file in more pieces than any encoder writes."""
    return PictureError(
        "too-large", f"expected a {name} of at most {limit:,} pieces, found more; open it in an editor and export it"
    )
