"""Chains: texts that grow term by term, each time by the term that brings the text nearest to its picture.

Source: mode "best" of CLIP Interrogator 0.6.0, without the faults listed in docs/guides/interrogation.md.
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
"""Estimated contribution of a term to a text's vector, v + SHARE * term, as measured for wording.py."""

_OPENINGS = 16
"""Number of candidates scored again in full precision for a text's first term: cached vectors are float16."""

_Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A term that may be added. `weight` multiplies its gain; `vector` (size,) is that of the term alone."""

    term: Term
    weight: float
    vector: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Rules:
    """How chains grow: how many terms are tried at least and at most, and how many tokens a text may have.

    `name` becomes the origin of the sentences. With `away`, terms are to move the text away from the picture. `limits`
    maps categories to the number of their terms that a text may hold.
    """

    name: str
    at_least: int
    at_most: int
    tokens: int
    away: bool
    limits: Mapping[str, int]


@dataclass(eq=False)
class Chain:
    """The growing text of one picture.

    `image` (size,) is the picture's vector. `stages` holds the start, which may be empty, and the text after each of
    the `terms`; `cosines` are those of the stages with the picture, NaN for an empty text.
    """

    image: Vector
    candidates: list[Candidate]
    stages: list[str]
    cosines: list[float]
    terms: list[Term] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text so far."""
        return self.stages[-1]

    def add(self, place: int, text: str, cosine: float, rules: Rules) -> None:
        """Append the candidate at index `place`, which turns the text into `text`."""
        term = self.candidates.pop(place).term
        before = self.cosines[-1]
        self.terms.append(replace(term, gain=cosine if np.isnan(before) else cosine - before))
        self.stages.append(text)
        self.cosines.append(cosine)
        limit = rules.limits.get(term.category)
        if limit is not None and sum(found.category == term.category for found in self.terms) >= limit:
            self.candidates = [left for left in self.candidates if left.term.category != term.category]

    def best(self, rules: Rules) -> Sentence:
        """The stage with the best cosine, as a sentence."""
        if np.isnan(self.cosines).all():
            return Sentence(rules.name, (self.text,))
        best = int(np.nanargmax(np.array(self.cosines) * _sign(rules)))
        return Sentence(rules.name, tuple(self.stages[: best + 1]), tuple(self.terms[:best]), self.cosines[best])


def grow(
    towers: TwoTower, images: Vector, starts: Sequence[str], candidates: Sequence[Sequence[Candidate]], rules: Rules
) -> list[Sentence]:
    """For each picture, the best text that begins with its start or, if that is empty, with a term.

    `images` (pictures, size) are unit vectors. All chains grow side by side until no term helps any more.
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
    """Let each chain try its most promising terms; return the chains that grew."""
    tried = _promising(towers, chains, rules)
    asked = [
        Continuations(chain.image, chain.text, [chain.candidates[place].term.text for place in places], rules.tokens)
        for chain, places in zip(chains, tried, strict=True)
    ]
    left = []
    for chain, places, cosines in zip(chains, tried, towers.score_continuations(asked), strict=True):
        best = _most_gained(chain, places, cosines, rules)
        if best is None:  # no term fits
            continue
        cosine = float(cosines[best])
        text = chain.text + JOINT + chain.candidates[places[best]].term.text
        helps = _sign(rules) * (cosine - chain.cosines[-1]) > 0
        if helps or step < rules.at_least:
            chain.add(places[best], text, cosine, rules)
            left.append(chain)
    return left


def _most_gained(chain: Chain, places: Sequence[int], cosines: npt.NDArray[np.float32], rules: Rules) -> int | None:
    """The index of the tried term with the highest weighted gain; None if no term fits."""
    gains = _sign(rules) * (cosines.astype(np.float64) - chain.cosines[-1])
    values = by_weight(gains, np.array([chain.candidates[place].weight for place in places]))
    return None if np.isnan(values).all() else int(np.nanargmax(values))


def _promising(towers: TwoTower, chains: Sequence[Chain], rules: Rules) -> list[list[int]]:
    """For each chain, the indices of the candidates that are worth scoring."""
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
    """Chains with their first text: the start or, if that is empty, the best single candidate."""
    chains = []
    for image, start, offered in zip(images, starts, candidates, strict=True):
        # Encoded alone, so that the last bits of its cosine do not depend on the rest of the batch.
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
