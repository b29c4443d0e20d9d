"""One list of a vocabulary: terms of one kind, such as mediums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

FLAVORS = "flavors"
"""The category for everything the other lists do not cover; the largest of clip-interrogator's."""

_COUNTS = {FLAVORS: 3}  # as in clip-interrogator
_IDENTITY_DIGITS = 16


@dataclass(frozen=True)
class Category:
    """Terms of one kind, clean and distinct, in the order of their list.

    `count` is the number of terms that mode classic takes. No prompt of any mode holds more than `limit` of them (None:
    no limit). `weights` holds only the weights that differ from 1.
    """

    name: str
    terms: tuple[str, ...]
    count: int = 1
    limit: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict, hash=False)

    @cached_property
    def identity(self) -> str:
        """A short hash of the terms in order, without their weights; cached vectors are filed under it."""
        return digest("\n".join(self.terms))  # a clean term holds no line break


def count_of(name: str) -> int:
    """The number of terms that mode classic takes of a list that does not state it."""
    return _COUNTS.get(name, 1)


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_IDENTITY_DIGITS]
