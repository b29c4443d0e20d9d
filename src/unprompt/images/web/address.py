"""Pictures at http(s) addresses; no import or connection happens before one is read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from unprompt.errors import PictureError
from unprompt.images.web.limits import WebLimits


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A picture at an http(s) address."""

    url: str
    limits: WebLimits = field(default_factory=WebLimits)

    @property
    def size_mb(self) -> float:
        """0: not known before the download."""
        return 0.0

    def read(self) -> bytes:
        """Download the file's bytes. Safe to call from many threads.

        Raises PictureError: bad-url, forbidden-address, not-a-picture, not-found, offline, timeout, too-large,
        too-many-redirects, truncated, unreachable.
        """
        if self.limits.offline or os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
            raise PictureError(
                "offline",
                "expected to read from the web, found it forbidden (--offline or HF_HUB_OFFLINE); "
                "allow it or give the picture as a file",
            )
        from unprompt.images.web.download import download  # imports httpx, which most runs never need

        return download(self.url, self.limits)
