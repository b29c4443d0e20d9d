"""A vocabulary: all the lists of terms that a picture is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unprompt.display import printable
from unprompt.errors import DataError, UnknownNameError
from unprompt.vocabulary.category import FLAVORS, Category, digest
from unprompt.vocabulary.exclusion import Exclusion
from unprompt.vocabulary.original import ARTISTS, SITES, TRENDINGS, artist_names, original_categories
from unprompt.vocabulary.original import NAME as CLIP_INTERROGATOR
from unprompt.vocabulary.term_files import SUFFIX, read_terms, term_files

UNPROMPT = "unprompt"
"""The name of the package's own vocabulary."""
NEGATIVE = "negative"
"""The category of terms for negative prompts."""

_LISTS = Path(__file__).parent / "lists"
_FIRST, _LAST = ("mediums", ARTISTS, TRENDINGS, "movements"), (FLAVORS, NEGATIVE)
_NO_TERM_LEFT = "no term is left of the vocabulary {}; leave out or exclude less, or add a list with --vocabulary"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Categories of terms with distinct names, in the order in which mode classic takes them."""

    name: str
    categories: tuple[Category, ...]

    @classmethod
    def of(cls, name: str, categories: Iterable[Category]) -> Vocabulary:
        """Sort the categories into clip-interrogator's order; other lists come by name before the flavors."""
        return cls(name, tuple(sorted(categories, key=_place)))

    def category(self, name: str) -> Category | None:
        """The category of this name, or None."""
        return next((category for category in self.categories if category.name == name), None)

    @property
    def positive(self) -> tuple[Category, ...]:
        """The categories that describe pictures: all that are not empty, except the negative one."""
        return tuple(category for category in self.categories if category.name != NEGATIVE and category.terms)

    @property
    def negative(self) -> Category | None:
        """The category of terms for negative prompts, or None."""
        return self.category(NEGATIVE)

    @property
    def identity(self) -> str:
        """A short hash of everything that may change an answer: names, terms, weights, counts, limits."""
        return digest(json.dumps([_description(category) for category in self.categories]))

    def without(self, names: Iterable[str]) -> Vocabulary:
        """The vocabulary without these categories; "sites" is another name for "trendings".

        Leaving out the artists also drops flavors that contain an artist's name. Raises UnknownNameError for a name
        that the vocabulary does not have, DataError if no positive term is left.
        """
        known = {category.name for category in self.categories}
        left_out = {TRENDINGS if name == SITES and SITES not in known else name for name in names}
        for name in sorted(left_out - known):
            raise UnknownNameError("list", name, known)
        kept = self._with([category for category in self.categories if category.name not in left_out])
        artists, flavors = self.category(ARTISTS), kept.category(FLAVORS)
        if ARTISTS in left_out and artists and flavors:
            cleared = _excluding(flavors, Exclusion(artist_names(artists)))
            kept = kept._with([cleared if each is flavors else each for each in kept.categories])
        return kept

    def excluding(self, words: Iterable[str]) -> Vocabulary:
        """The vocabulary without terms that contain any of these words or phrases, as `Exclusion` finds them.

        Raises DataError if no positive term is left.
        """
        exclusion = Exclusion(words)
        return self._with([_excluding(category, exclusion) for category in self.categories])

    def _with(self, categories: Iterable[Category]) -> Vocabulary:
        kept = replace(self, categories=tuple(category for category in categories if category.terms))
        if not kept.categories or (self.positive and not kept.positive):
            raise DataError(_NO_TERM_LEFT.format(printable(self.name)))
        return kept


def load_vocabulary(
    sources: Sequence[str] = (UNPROMPT,), *, without: Iterable[str] = (), exclude: str | None = None
) -> Vocabulary:
    """Load the vocabulary of one source, or of several joined together.

    A source is "unprompt" (the package's own lists), "clip-interrogator" (the lists of that package, if it is
    installed), a folder with one .txt file per category, or a single such file. Categories of the same name are joined:
    terms of the first source come first, while the last weight, count and limit given win. `without` names categories
    to leave out; `exclude` is a file of words and phrases, one a line, and terms that contain any of them are dropped.

    Raises UnknownNameError for an unknown source or category, DataError if a file cannot be used or no term is left.
    """
    joined: dict[str, Category] = {}
    for source in sources:
        for category in _categories(source):
            first = joined.get(category.name)
            joined[category.name] = _joined(first, category) if first else category
    if not joined:
        raise DataError("expected at least one vocabulary, found none; omit --vocabulary to use the package's own")
    vocabulary = Vocabulary.of("+".join(sources), joined.values())
    if left_out := set(without):
        vocabulary = vocabulary.without(left_out)
    return vocabulary.excluding(read_terms(Path(exclude)).category.terms) if exclude else vocabulary


def _categories(source: str) -> Iterable[Category]:
    if source == CLIP_INTERROGATOR:
        return original_categories()
    if not source:
        raise DataError("expected the name of a vocabulary, a file or a folder, found an empty string; name one")
    path = _LISTS if source == UNPROMPT else Path(source)
    if not path.exists() and path.name == source and not source.lower().endswith(SUFFIX):
        raise UnknownNameError("vocabulary, file or folder", source, (UNPROMPT, CLIP_INTERROGATOR))
    return [read_terms(file).category for file in term_files(path)]


def _joined(first: Category, second: Category) -> Category:
    """Join two lists; of a text that is in both, in whatever case, the first spelling is kept."""
    spelling = {term.casefold(): term for term in reversed(first.terms)}
    new = [term for term in second.terms if term.casefold() not in spelling]
    weights = {spelling.get(term.casefold(), term): weight for term, weight in second.weights.items()}
    return replace(
        first,
        terms=(*first.terms, *new),
        count=first.count if second.limit is None else second.count,
        limit=first.limit if second.limit is None else second.limit,
        weights={**first.weights, **weights},
    )


def _excluding(category: Category, exclusion: Exclusion) -> Category:
    terms = tuple(term for term in category.terms if not exclusion.found_in(term))
    return replace(category, terms=terms, weights=_weights_of(terms, category.weights))


def _weights_of(terms: Iterable[str], weights: Mapping[str, float]) -> dict[str, float]:
    return {term: weights[term] for term in terms if term in weights} if weights else {}


def _place(category: Category) -> tuple[int, int, str]:
    name = category.name
    if name in _FIRST:
        return 0, _FIRST.index(name), name
    return (2, _LAST.index(name), name) if name in _LAST else (1, 0, name)


def _description(category: Category) -> list[object]:
    return [category.name, category.identity, category.count, category.limit, sorted(category.weights.items())]
