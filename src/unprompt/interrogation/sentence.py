"""A text out of a caption and terms, with what is known of each; it is never longer than its target reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unprompt.prediction import Term
from unprompt.text.tokenizers import cut_to_tokens
from unprompt.towers.two_tower import JOINT

Count = Callable[[str], int]
"""How many tokens a text has."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A term that is to follow, and what stands before it."""

    term: Term
    joint: str = JOINT


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text and the terms in it. `stages` are the texts it grew by: before any term, and after each of them.

    `origin` is the mode that made it; `similarity` the cosine with its picture, None where nobody measured it.
    """

    origin: str
    stages: tuple[str, ...]
    terms: tuple[Term, ...] = ()
    similarity: float | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return self.stages[-1]


def compose(origin: str, caption: str, additions: Sequence[Addition], count: Count, limit: int) -> Sentence:
    """The caption with as many of the additions, in their order, as `limit` tokens have room for.

    What stands between two commas is taken whole or not at all.
    """
    stages, terms = [caption], list[Term]()
    for addition in additions:
        longer = stages[-1] + addition.joint + addition.term.text if stages[-1] else addition.term.text
        if count(longer) > limit:
            if addition.joint != JOINT and terms:  # what it belongs to goes with it
                del stages[-1], terms[-1]
            break
        stages.append(longer)
        terms.append(addition.term)
    return Sentence(origin, tuple(stages), tuple(terms))


def fitted(text: str, count: Count, limit: int) -> str:
    """The text, cut at a comma, or else at a word, so that it has at most `limit` tokens."""
    return cut_to_tokens(text, limit, count=count)
