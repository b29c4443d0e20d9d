"""All lists of terms that a picture is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from unprompt.errors import UnknownNameError
from unprompt.vocabulary.category import Category, digest

NEGATIVE = "negative"
"""The category of what pictures should not be."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Categories of terms, each name once, in the order in which mode classic takes them."""

    name: str
    categories: tuple[Category, ...]

    def category(self, name: str) -> Category | None:
        """The category of this name, if there is one."""
        return next((category for category in self.categories if category.name == name), None)

    @property
    def positive(self) -> tuple[Category, ...]:
        """What pictures may be: all but the negative category; none is empty."""
        return tuple(category for category in self.categories if category.name != NEGATIVE and category.terms)

    @property
    def negative(self) -> Category | None:
        """What pictures should not be, where there is such a list."""
        return self.category(NEGATIVE)

    @property
    def identity(self) -> str:
        """A short hash of all that may change an answer: names, terms, weights, counts, limits."""
        return digest(json.dumps([_description(category) for category in self.categories]))

    def without(self, names: Iterable[str]) -> Vocabulary:
        """The vocabulary without these categories. Raises UnknownNameError for a name that it has not."""
        left_out = set(names)
        known = {category.name for category in self.categories}
        for name in sorted(left_out - known):
            raise UnknownNameError("category", name, known)
        return replace(self, categories=tuple(each for each in self.categories if each.name not in left_out))


def _description(category: Category) -> list[object]:
    return [category.name, category.identity, category.count, category.limit, sorted(category.weights.items())]
