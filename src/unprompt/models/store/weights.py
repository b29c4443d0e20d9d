"""The words of presets, recipes and options for weights that are not a file of the user."""

from __future__ import annotations

HUB = "hub"
"""The published weights, from the hub's cache or, if downloads are allowed, the hub."""

RANDOM = "random"
"""The weights of a network before any training."""
