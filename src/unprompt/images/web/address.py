"""Pictures at http(s) addresses. Nothing is imported or connected before one is read."""

from __future__ import annotations

import os
from dataclasses import dataclass

from unprompt.errors import PictureError


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What reading one picture from the web may take.

    `timeout_s` is for the whole of it: name lookup, redirects, body. `limit_mb` is in millions of bytes. Only public
    addresses are connected to, unless `allow_private`. `offline`, or HF_HUB_OFFLINE=1, refuses every address.
    """

    timeout_s: float = 30.0
    limit_mb: float = 64.0
    redirects: int = 5
    allow_private: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A picture at an http(s) address."""

    url: str
    limits: WebLimits = WebLimits()

    @property
    def size_mb(self) -> float:
        """Not known before it is read."""
        return 0.0

    def read(self) -> bytes:
        """The file's bytes. Safe to call from many threads.

        Raises PictureError: bad-url, forbidden-address, not-a-picture, not-found, offline, timeout, too-large,
        too-many-redirects, truncated, unreachable.
        """
        if self.limits.offline or os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
            raise PictureError(
                "offline",
                "expected to read from the web, found it forbidden (--offline or HF_HUB_OFFLINE); "
                "allow it or give the picture as a file",
            )
        from unprompt.images.web.download import download  # brings httpx, which most runs never need

        return download(self.url, self.limits)
