"""Limits of one download."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Limits on the download of one picture.

    `timeout_s` covers everything: name lookup, redirects and body. `limit_mb` is in millions of bytes. Unless
    `allow_private` is set, only public addresses are connected to. `offline`, or HF_HUB_OFFLINE=1, refuses every
    address.
    """

    timeout_s: float = 30.0
    limit_mb: float = 64.0
    redirects: int = 5
    allow_private: bool = False
    offline: bool = False
