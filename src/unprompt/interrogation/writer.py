"""The texts of each mode, for a batch of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from unprompt.images.decode import Picture
from unprompt.interrogation.chain import Candidate, Rules, grow
from unprompt.interrogation.interrogation import Mode, Settings
from unprompt.interrogation.lists import MEDIUMS, MOVEMENTS, Lists
from unprompt.interrogation.sentence import Addition, Sentence, compose
from unprompt.prediction import Term, Vector
from unprompt.towers.two_tower import JOINT, TwoTower
from unprompt.vocabulary.category import FLAVORS, Category
from unprompt.vocabulary.original import ARTISTS
from unprompt.vocabulary.vocabulary import NEGATIVE

_PUBLISHED_FLAVORS = 3

_SHORT_TAIL = " "  # between a medium and its artist


@dataclass(frozen=True, eq=False)
class Writer:
    """Writes the texts of a batch of pictures. Captions must have at most `limit` tokens; no text has more.

    `tags` are those of each picture, which chains may take beside the terms of the lists; empty without a tagger.
    """

    towers: TwoTower
    lists: Lists
    pictures: Sequence[Picture]
    captions: Sequence[str]
    settings: Settings
    limit: int
    tags: Sequence[Sequence[str]] = ()

    @cached_property
    def images(self) -> Vector:
        """The unit vectors (pictures, size) of the pictures."""
        return self.towers.encode_images(self.pictures)

    def texts(self, mode: Mode) -> list[Sentence]:
        """The text of each picture in one mode."""
        return _MODES[mode](self)

    def measured(self, texts: Sequence[Sentence]) -> list[Sentence]:
        """Add to each text its cosine with the picture, and to each term its gain."""
        return [self._measured(text, image) for text, image in zip(texts, self.images, strict=True)]

    def caption(self) -> list[Sentence]:
        """The caption alone."""
        return [Sentence("caption", (caption,)) for caption in self.captions]

    def classic(self, flavors: int | None = None) -> list[Sentence]:
        """The caption and the best `count` terms of each list; `flavors` overrides the count of the flavors."""
        said: list[list[Term]] = [[] for _ in self.captions]
        for category in self.lists.vocabulary.positive:
            count = flavors if flavors is not None and category.name == FLAVORS else category.count
            said = _joined(said, self.lists.new([category], self.images, count, said))
        return self._in_classic_order("classic", said)

    def fast(self) -> list[Sentence]:
        """The caption and the best terms of all lists together."""
        ranked = self.lists.ranked(self.lists.vocabulary.positive, self.images, self.settings.max_terms)
        return [
            self._composed("fast", caption, [Addition(term) for term in terms])
            for caption, terms in zip(self.captions, ranked, strict=True)
        ]

    def published(self) -> list[Sentence]:
        """The caption, a medium, a movement and three flavors. Source: the published ensemble's notebook."""
        said: list[list[Term]] = [[] for _ in self.captions]
        for name in (MEDIUMS, MOVEMENTS):
            category = self.lists.vocabulary.category(name)
            said = _joined(said, self.lists.new([category] if category else [], self.images, 1, said))
        rest = self.lists.rest(MEDIUMS, MOVEMENTS)
        said = _joined(said, self.lists.new(rest, self.images, _PUBLISHED_FLAVORS, said))
        return self._in_classic_order("published", said)

    def best(self) -> list[Sentence]:
        """The nearest to the picture of caption, classic, fast and chain; of equals the first."""
        made = (self.caption(), self.classic(self.settings.max_terms), self.fast(), self._chains())
        return [self._nearest(texts, image) for texts, image in zip(zip(*made, strict=True), self.images, strict=True)]

    def negative(self) -> list[Sentence]:
        """A chain of the terms least like the picture, from the flavors and the negative list."""
        vocabulary = self.lists.vocabulary
        least = self.lists.candidates(self.lists.rest(), self.images, self.settings.candidates, lowest=True)
        if vocabulary.negative is not None and vocabulary.negative.terms:
            own = self.lists.candidates([vocabulary.negative], self.images, len(vocabulary.negative.terms), lowest=True)
            least = [_once([*terms, *more]) for terms, more in zip(least, own, strict=True)]
        return grow(self.towers, self.images, [""] * len(self.images), least, self._rules("negative", away=True))

    def _chains(self) -> list[Sentence]:
        positive = self.lists.vocabulary.positive
        offered = self.lists.candidates(positive, self.images, self.settings.candidates)
        tags = self.tags or [()] * len(offered)
        tagged = [self.lists.tagged(words, image) for words, image in zip(tags, self.images, strict=True)]
        candidates = [_once([*own, *terms]) for own, terms in zip(tagged, offered, strict=True)]
        return grow(self.towers, self.images, self.captions, candidates, self._rules("chain", away=False))

    def _rules(self, name: str, *, away: bool) -> Rules:
        limits = {
            category.name: category.limit for category in self.lists.vocabulary.categories if category.limit is not None
        }
        return Rules(name, self.settings.min_terms, self.settings.max_terms, self.limit, away, limits)

    def _in_classic_order(self, origin: str, said: Sequence[Sequence[Term]]) -> list[Sentence]:
        return [
            self._composed(origin, caption, _additions(caption, terms))
            for caption, terms in zip(self.captions, said, strict=True)
        ]

    def _composed(self, origin: str, caption: str, additions: Sequence[Addition]) -> Sentence:
        return compose(origin, caption, additions, self.towers.count_tokens, self.limit)

    def _nearest(self, texts: Sequence[Sentence], image: Vector) -> Sentence:
        cosines = self.towers.encode_texts([sentence.text for sentence in texts]) @ image
        cosines = np.where([bool(sentence.text) for sentence in texts], cosines, -np.inf)
        best = int(np.argmax(cosines))
        return replace(texts[best], similarity=float(cosines[best]))

    def _measured(self, text: Sentence, image: Vector) -> Sentence:
        if not text.text or (text.similarity is not None and all(term.gain is not None for term in text.terms)):
            return text  # empty, or a chain, which is measured already
        cosines = np.where([bool(stage) for stage in text.stages], self.towers.encode_texts(text.stages) @ image, 0.0)
        gains = np.diff(cosines).tolist()
        terms = tuple(replace(term, gain=gain) for term, gain in zip(text.terms, gains, strict=True))
        return replace(text, terms=terms, similarity=float(cosines[-1]))


_MODES: dict[Mode, Callable[[Writer], list[Sentence]]] = {
    "best": Writer.best,
    "fast": Writer.fast,
    "classic": Writer.classic,
    "published": Writer.published,
    "caption": Writer.caption,
    "negative": Writer.negative,
}


def used_lists(lists: Lists, settings: Settings) -> list[Category]:
    """The lists whose vectors the texts of these settings need, in the vocabulary's order."""
    vocabulary, names = lists.vocabulary, set[str]()
    if settings.mode == "published":
        names |= {MEDIUMS, MOVEMENTS, *_names(lists.rest(MEDIUMS, MOVEMENTS))}
    elif settings.mode not in ("caption", "negative"):
        names |= _names(vocabulary.positive)
    if settings.negative or settings.mode == "negative":
        names |= {NEGATIVE, *_names(lists.rest())}
    return [category for category in vocabulary.categories if category.name in names]


def _names(categories: Iterable[Category]) -> set[str]:
    return {category.name for category in categories}


def _joined(said: Sequence[list[Term]], more: Sequence[list[Term]]) -> list[list[Term]]:
    return [[*before, *new] for before, new in zip(said, more, strict=True)]


def _additions(caption: str, terms: Sequence[Term]) -> list[Addition]:
    """The terms with their separators, without a medium that the caption begins with; an artist joins the medium."""
    additions: list[Addition] = []
    behind_medium = False
    for term in terms:
        if term.category == MEDIUMS and caption.startswith(term.text):
            behind_medium = True
            continue
        joint = _SHORT_TAIL if term.category == ARTISTS and behind_medium else JOINT
        additions.append(Addition(term, joint))
        behind_medium = term.category == MEDIUMS
    return additions


def _once(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates without repeats of a term, ignoring case."""
    first = {candidate.term.text.casefold(): candidate for candidate in reversed(candidates)}
    return [candidate for candidate in candidates if first[candidate.term.text.casefold()] is candidate]
