"""The chain: a text grows, a term at a time, by the one that brings it nearest to its picture.

Source: mode "best" of CLIP Interrogator 0.6.0, without the faults that docs/guides/interrogation.md lists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from unprompt.interrogation.sentence import Sentence
from unprompt.prediction import Term, Vector
from unprompt.towers.two_tower import JOINT, Continuations, TwoTower
from unprompt.vocabulary.ranking import by_weight

SHARE = 0.15
"""What a term contributes to a text's vector, by estimate: v + SHARE * term. As measured for wording.py."""

_OPENINGS = 16
"""Terms that are looked at again for the first one of a text: vectors of lists are rounded to 16 bits."""

_Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A term that may be added; its `weight` multiplies what it gains. `vector` (size,) is the term's own."""

    term: Term
    weight: float
    vector: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Rules:
    """How chains grow: at least and at most so many terms are tried, within so many tokens.

    `name` is what made their sentences. With `away`, each term is to bring the text further from the picture and not
    nearer. `limits` say how many terms of a category there may be.
    """

    name: str
    at_least: int
    at_most: int
    tokens: int
    away: bool
    limits: Mapping[str, int]


@dataclass(eq=False)
class Chain:
    """One picture's text as it grows.

    `image` (size,) is the picture. `stages` are the texts so far: what it begins with, which may be empty, and one
    after each of the `terms`; `cosines` are theirs with the picture, NaN for an empty text.
    """

    image: Vector
    candidates: list[Candidate]
    stages: list[str]
    cosines: list[float]
    terms: list[Term] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What it says now."""
        return self.stages[-1]

    def add(self, place: int, text: str, cosine: float, rules: Rules) -> None:
        """Goes on with the candidate at `place`, by which the text becomes `text`."""
        term = self.candidates.pop(place).term
        before = self.cosines[-1]
        self.terms.append(replace(term, gain=cosine if np.isnan(before) else cosine - before))
        self.stages.append(text)
        self.cosines.append(cosine)
        limit = rules.limits.get(term.category)
        if limit is not None and sum(found.category == term.category for found in self.terms) >= limit:
            self.candidates = [left for left in self.candidates if left.term.category != term.category]

    def best(self, rules: Rules) -> Sentence:
        """The best text that it ever was."""
        if np.isnan(self.cosines).all():
            return Sentence(rules.name, (self.text,))
        best = int(np.nanargmax(np.array(self.cosines) * _sign(rules)))
        return Sentence(rules.name, tuple(self.stages[: best + 1]), tuple(self.terms[:best]), self.cosines[best])


def grow(
    towers: TwoTower, images: Vector, starts: Sequence[str], candidates: Sequence[Sequence[Candidate]], rules: Rules
) -> list[Sentence]:
    """For each picture (pictures, size) the best text that begins with its start, or with a term where that is empty.

    All chains grow side by side until no term helps any more.
    """
    chains = _opened(towers, images, starts, candidates, rules)
    growing = chains
    for step in range(rules.at_most):
        growing = [chain for chain in growing if chain.text and chain.candidates]
        if not growing:
            break
        growing = _step(towers, growing, rules, step)
    return [chain.best(rules) for chain in chains]


def _step(towers: TwoTower, chains: Sequence[Chain], rules: Rules, step: int) -> list[Chain]:
    """Lets each chain try its most promising term; those that go on."""
    tried = _promising(towers, chains, rules)
    asked = [
        Continuations(chain.image, chain.text, [chain.candidates[place].term.text for place in places], rules.tokens)
        for chain, places in zip(chains, tried, strict=True)
    ]
    left = []
    for chain, places, cosines in zip(chains, tried, towers.score_continuations(asked), strict=True):
        best = _most_gained(chain, places, cosines, rules)
        if best is None:  # nothing fits any more
            continue
        cosine = float(cosines[best])
        text = chain.text + JOINT + chain.candidates[places[best]].term.text
        helps = _sign(rules) * (cosine - chain.cosines[-1]) > 0
        if helps or step < rules.at_least:
            chain.add(places[best], text, cosine, rules)
            left.append(chain)
    return left


def _most_gained(chain: Chain, places: Sequence[int], cosines: npt.NDArray[np.float32], rules: Rules) -> int | None:
    """Which of the tried terms gains most, by weight; None where none of them fits."""
    gains = _sign(rules) * (cosines.astype(np.float64) - chain.cosines[-1])
    values = by_weight(gains, np.array([chain.candidates[place].weight for place in places]))
    return None if np.isnan(values).all() else int(np.nanargmax(values))


def _promising(towers: TwoTower, chains: Sequence[Chain], rules: Rules) -> list[list[int]]:
    """The places of each chain's candidates that are worth scoring."""
    if towers.shortlist is None:
        return [list(range(len(chain.candidates))) for chain in chains]
    return [_nearest_by_estimate(towers, chain, rules)[: towers.shortlist] for chain in chains]


def _nearest_by_estimate(towers: TwoTower, chain: Chain, rules: Rules) -> list[int]:
    (start,) = towers.encode_texts([chain.text])
    vectors = start + SHARE * np.stack([candidate.vector for candidate in chain.candidates]).astype(np.float32)
    cosines = (vectors @ chain.image) / np.linalg.norm(vectors, axis=1)
    return [int(place) for place in np.argsort(-_sign(rules) * cosines, kind="stable")]


def _opened(
    towers: TwoTower, images: Vector, starts: Sequence[str], candidates: Sequence[Sequence[Candidate]], rules: Rules
) -> list[Chain]:
    """Chains with their first text: the start or, where that is empty, the best candidate alone."""
    chains = []
    for image, start, offered in zip(images, starts, candidates, strict=True):
        # Alone, so that the last bits of a cosine do not depend on the pictures beside it.
        cosine = float(towers.encode_texts([start])[0] @ image) if start else math.nan
        chain = Chain(image, list(offered), [start], [cosine])
        if not start:
            _open_with_term(towers, chain, rules)
        chains.append(chain)
    return chains


def _open_with_term(towers: TwoTower, chain: Chain, rules: Rules) -> None:
    fitting = [
        place
        for place, candidate in enumerate(chain.candidates)
        if towers.count_tokens(candidate.term.text) <= rules.tokens
    ]
    if not fitting:
        return
    alone = np.array([chain.candidates[place].term.similarity for place in fitting])
    order = np.argsort(-_valued(chain, fitting, alone, rules), kind="stable")
    first = [fitting[rank] for rank in order[:_OPENINGS]]
    cosines = towers.encode_texts([chain.candidates[place].term.text for place in first]) @ chain.image
    best = int(np.argmax(_valued(chain, first, cosines, rules)))
    chain.add(first[best], chain.candidates[first[best]].term.text, float(cosines[best]), rules)


def _valued(chain: Chain, places: Sequence[int], cosines: npt.NDArray[np.floating], rules: Rules) -> _Scores:
    weights = np.array([chain.candidates[place].weight for place in places])
    return by_weight(_sign(rules) * cosines.astype(np.float64), weights)


def _sign(rules: Rules) -> int:
    return -1 if rules.away else 1
