"""What a sidecar may be, and what may become of one that exists; apart from the rest, for the options' sake."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Existing: TypeAlias = Literal["skip", "overwrite", "append", "prepend"]
EXISTING: tuple[Existing, ...] = get_args(Existing)

SidecarSuffix: TypeAlias = Literal[".txt", ".caption", ".json"]
SIDECAR_SUFFIXES: tuple[SidecarSuffix, ...] = get_args(SidecarSuffix)
