"""The lists of a vocabulary, ranked by a model: the terms nearest to pictures, and the furthest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unprompt.interrogation.chain import Candidate
from unprompt.prediction import Term, Vector
from unprompt.progress import Step
from unprompt.towers.two_tower import TwoTower
from unprompt.vocabulary.category import FLAVORS, Category
from unprompt.vocabulary.ranking import rank
from unprompt.vocabulary.tables import TermTable, TermTables
from unprompt.vocabulary.vocabulary import Vocabulary

MEDIUMS, MOVEMENTS, TAGS = "mediums", "movements", "tags"


class Lists:
    """Ranks the terms of a vocabulary for pictures. Vectors of terms are computed when they are first needed."""

    def __init__(self, towers: TwoTower, vocabulary: Vocabulary, cache: Path | None) -> None:
        self.vocabulary = vocabulary
        self._towers = towers
        self._tables = TermTables(towers, cache)
        self._words: dict[str, npt.NDArray[np.float16]] = {}

    def prepare(self, categories: Sequence[Category], step: Step) -> None:
        """Compute the vectors of these lists now, or read them from the cache."""
        for category in categories:
            with step(f"encoding {category.name}", len(category.terms), "terms") as advance:
                self._tables.table(category, advance)

    def ranked(self, categories: Sequence[Category], images: Vector, count: int) -> list[list[Term]]:
        """For each picture, the best `count` terms of several lists together, within the limit of each list."""
        free = [category for category in categories if category.limit is None]
        found = [self.candidates(free, images, count)]
        for category in categories:
            if category.limit is not None:
                found.append(self.candidates([category], images, min(category.limit, count)))
        return [[candidate.term for candidate in _merged(lists, count)] for lists in zip(*found, strict=True)]

    def new(
        self, categories: Sequence[Category], images: Vector, count: int, said: Sequence[Sequence[Term]]
    ) -> list[list[Term]]:
        """Like `ranked`, but without the terms already `said` for each picture, ignoring case."""
        longest = max(map(len, said), default=0)
        found = self.ranked(categories, images, count + longest)
        return [_unsaid(terms, before)[:count] for terms, before in zip(found, said, strict=True)]

    def candidates(
        self, categories: Sequence[Category], images: Vector, count: int, *, lowest: bool = False
    ) -> list[list[Candidate]]:
        """Like `ranked`, but as chain candidates and without limits; `lowest`: the terms least like the picture."""
        tables = [self._tables.table(category) for category in categories]
        if not tables:
            return [[] for _ in images]
        return [
            [_candidate(tables[found.table], found.term, found.similarity) for found in ranked]
            for ranked in rank(tables, images, count, lowest=lowest)
        ]

    def tagged(self, words: Sequence[str], image: Vector) -> list[Candidate]:
        """A picture's tags as chain candidates; its vector is `image` (size,). Their list is called "tags"."""
        vectors = [self._word(word) for word in words]
        return [
            Candidate(Term(word, TAGS, float(vector.astype(np.float32) @ image)), 1.0, vector)
            for word, vector in zip(words, vectors, strict=True)
        ]

    def _word(self, word: str) -> npt.NDArray[np.float16]:
        """The vector of a tag: there are not many, and many pictures have the same. Encoded alone, as for `Chain`."""
        if word not in self._words:
            self._words[word] = self._towers.encode_texts([word])[0].astype(np.float16)
        return self._words[word]

    def rest(self, *names: str) -> list[Category]:
        """The list of flavors or, if the vocabulary has none, all positive lists except those named."""
        flavors = self.vocabulary.category(FLAVORS)
        if flavors is not None and flavors.terms:
            return [flavors]
        return [category for category in self.vocabulary.positive if category.name not in names]


def _unsaid(terms: Sequence[Term], said: Sequence[Term]) -> list[Term]:
    texts = {term.text.casefold() for term in said}
    return [term for term in terms if term.text.casefold() not in texts]


def _candidate(table: TermTable, place: int, similarity: float) -> Candidate:
    weight = 1.0 if table.weights is None else float(table.weights[place])
    return Candidate(Term(table.texts[place], table.category, similarity), weight, table.vectors[place])


def _merged(lists: Iterable[Sequence[Candidate]], count: int) -> list[Candidate]:
    """The best of several ranked lists; a term that is in two of them counts once."""
    every = [candidate for candidates in lists for candidate in candidates]
    every.sort(key=_score, reverse=True)
    once = {candidate.term.text.casefold(): candidate for candidate in reversed(every)}
    return [candidate for candidate in every if once[candidate.term.text.casefold()] is candidate][:count]


def _score(candidate: Candidate) -> float:
    """The score by which `rank` orders terms."""
    cosine = candidate.term.similarity
    return cosine * candidate.weight if cosine > 0 else cosine / candidate.weight
