"""Which words of an answer are right: content words, stemmed, against those of the true prompt and captions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unprompt.output.records import rounded
from unprompt.text.content_words import content_stems, subject


@dataclass(frozen=True, slots=True)
class WordScore:
    """How many of an answer's words are right, and how many of the right ones it has; 0 to 1.

    `subject` says whether the noun of its first phrase is among the true words.
    """

    precision: float
    recall: float
    subject: bool

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def score_words(answer: str, truths: Iterable[str]) -> WordScore | None:
    """Compare an answer with the true texts of its picture, taken together; None if these have no content word."""
    true = frozenset[str]().union(*map(content_stems, truths))
    if not true:
        return None
    found = content_stems(answer)
    right = len(found & true)
    return WordScore(
        precision=rounded(right / len(found)) if found else 0.0,
        recall=rounded(right / len(true)),
        subject=subject(answer) in true,
    )
