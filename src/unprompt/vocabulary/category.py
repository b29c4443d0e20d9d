"""One list of a vocabulary: terms of a kind, such as mediums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

FLAVORS = "flavors"
"""The category of whatever else may be said of a picture; the largest of clip-interrogator's."""

_COUNTS = {FLAVORS: 3}  # as clip-interrogator has it
_IDENTITY_DIGITS = 16


@dataclass(frozen=True)
class Category:
    """Terms of one kind, clean and distinct, in their list's order.

    `count` is how many of them mode classic takes; no prompt of any mode has more than `limit`, where there is one.
    `weights` are those of the terms whose weight is not 1.
    """

    name: str
    terms: tuple[str, ...]
    count: int = 1
    limit: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)

    @cached_property
    def identity(self) -> str:
        """A short hash of the terms in their order: what vectors of them are kept under. Weights do not count."""
        return digest("\n".join(self.terms))  # no clean term holds a line end


def count_of(name: str) -> int:
    """How many terms mode classic takes of a category whose list does not say it."""
    return _COUNTS.get(name, 1)


def digest(text: str) -> str:
    """The first hexadecimal digits of a text's sha256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_IDENTITY_DIGITS]
