"""What reading one picture from the web may take."""

from __future__ import annotations

from dataclasses import dataclass


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
