"""Pictures at http(s) addresses; no import or connection happens before one is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from unprompt.errors import PictureError
from unprompt.images.web.limits import WebLimits
from unprompt.locations.address import is_offline


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
        check_allowed(self.limits)
        from unprompt.images.web.download import download  # imports httpx, which most runs never need

        return download(self.url, self.limits)


def check_allowed(limits: WebLimits) -> None:
    """Raise PictureError (offline) if nothing may be read from the web."""
    if limits.offline or is_offline():
        raise PictureError(
            "offline",
            "expected to read from the web, found it forbidden (--offline, UNPROMPT_OFFLINE or HF_HUB_OFFLINE); "
            "allow it or give the picture as a file",
        )
