"""Which words of an answer are right: content words, stemmed, against those of the true prompt and captions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unprompt.output.records import rounded
from unprompt.text.content_words import content_stems, content_words, stem

_PREPOSITION_LIST = """
about above across against along among around at behind below beneath beside between by during for from in inside
into near next on onto out outside over through to toward towards under upon while with within without that which
who whose is are was were has have and
"""
_PREPOSITIONS = frozenset(_PREPOSITION_LIST.split())
"""Words before which a noun phrase ends."""

_MEDIA = re.compile(
    r"^(?:(?:an?|the|this)\s+)?(?:[\w-]+\s+){0,4}?"
    r"(?:image|photo|photograph|picture|portrait|painting|drawing|illustration|render|rendering|sketch|close-?up|view"
    r"|shot|artwork|scene)\s+(?:of|showing)\s+",
    re.IGNORECASE,
)
"""What an answer says first if it names the medium before the subject, as in "an oil painting of"."""


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
        subject=_subject(answer) in true,
    )


def _subject(answer: str) -> str:
    """The stem of the noun that an answer begins with: the last content word of its first phrase; "" if none."""
    phrase = _first_phrase(re.split(r"[,.;:!?()|]", _MEDIA.sub("", answer.strip()), maxsplit=1)[0].lower().split())
    words = content_words(" ".join(phrase))
    return stem(words[-1]) if words else ""


def _first_phrase(words: Sequence[str]) -> Sequence[str]:
    """The words before the first preposition or participle that follows a content word."""
    content = False
    for place, word in enumerate(words):
        ends = word in _PREPOSITIONS or (word.endswith("ing") and len(word) > 5)
        if content and ends:
            return words[:place]
        content = content or bool(content_words(word))
    return words
