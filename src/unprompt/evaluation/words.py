"""Which words of an answer are right: content words, stemmed, against those of the true prompt and captions."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from unprompt.output.records import rounded

_WORD = re.compile(r"[^\W\d_]{3,}")
"""Words of three letters or more, of any script; a hyphen or apostrophe ends one."""

_FUNCTION_WORD_LIST = """
about above across after again against all almost along already also although among and another any anyone anything
are aren around away back because been before behind being below beneath beside besides between beyond both but can
cannot could did does doing don done down during each either else even ever every everyone everything few for from
further get gets getting had has have having her here hers herself him himself his how however into isn its itself
just let like many may might more most much must near neither next nor not nothing now off often once one only onto
other others our ours out outside over own per perhaps quite rather same several shall she should since some someone
something still such than that the their theirs them themselves then there these they this those though through
throughout thus together too toward towards under until unto upon very via was wasn well were what whatever when
where whether which while who whom whose why will with within without would yet you your yours
"""
_FUNCTION_WORDS = frozenset(_FUNCTION_WORD_LIST.split())
"""Words that say how others belong together, not what is in a picture."""

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


def content_stems(text: str) -> frozenset[str]:
    """The stems of a text's content words, by the English Snowball stemmer.

    Source: Porter, "An algorithm for suffix stripping" (1980), in its second version.
    """
    return frozenset(_stem(word) for word in _words(text) if word not in _FUNCTION_WORDS)


def _subject(answer: str) -> str:
    """The stem of the noun that an answer begins with: the last content word of its first phrase; "" if none."""
    phrase = _first_phrase(re.split(r"[,.;:!?()|]", _MEDIA.sub("", answer.strip()), maxsplit=1)[0].lower().split())
    words = [word for word in _words(" ".join(phrase)) if word not in _FUNCTION_WORDS]
    return _stem(words[-1]) if words else ""


def _first_phrase(words: Sequence[str]) -> Sequence[str]:
    """The words before the first preposition or participle that follows a content word."""
    content = False
    for place, word in enumerate(words):
        ends = word in _PREPOSITIONS or (word.endswith("ing") and len(word) > 5)
        if content and ends:
            return words[:place]
        content = content or (len(word) > 2 and word not in _FUNCTION_WORDS)
    return words


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


@functools.lru_cache(100_000)
def _stem(word: str) -> str:
    return _stemmer()(word)


@functools.cache
def _stemmer() -> Callable[[str], str]:
    import snowballstemmer

    stem: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
    return stem
