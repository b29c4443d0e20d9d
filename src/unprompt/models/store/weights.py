"""Where weights come from that are no file of the user's, as presets, recipes and options say it."""

from __future__ import annotations

HUB = "hub"
"""The published ones, from the hub's cache or, where the network is allowed, the hub."""

RANDOM = "random"
"""None: a network as it is before any training."""
