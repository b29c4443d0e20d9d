"""A text made of a caption and terms, cut so that its model reads all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unprompt.prediction import Term
from unprompt.text.tokenizers import cut_to_tokens
from unprompt.towers.two_tower import JOINT

Count = Callable[[str], int]
"""Counts the tokens of a text."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A term to append, and the separator before it."""

    term: Term
    joint: str = JOINT


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text and the terms in it.

    `stages` are the texts it grew through: before any term, and after each. `origin` is the mode that wrote it;
    `similarity` is its cosine with the picture, None if it was not measured.
    """

    origin: str
    stages: tuple[str, ...]
    terms: tuple[Term, ...] = ()
    similarity: float | None = None

    @property
    def text(self) -> str:
        """The complete text."""
        return self.stages[-1]


def compose(origin: str, caption: str, additions: Sequence[Addition], count: Count, limit: int) -> Sentence:
    """Append as many of the additions to the caption, in order, as fit into `limit` tokens.

    Additions without a comma between them are taken together or not at all.
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
    """Cut the text to at most `limit` tokens, at a comma if possible, else at a word."""
    return cut_to_tokens(text, limit, count=count)
