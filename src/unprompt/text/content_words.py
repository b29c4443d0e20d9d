"""The content words of a text and their stems: what it names, without the words that say how these belong together."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Sequence

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

_STEMMING = threading.Lock()

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


def content_stems(text: str) -> frozenset[str]:
    """The stems of a text's content words, by the English Snowball stemmer.

    Source: Porter, "An algorithm for suffix stripping" (1980), in its second version.
    """
    return frozenset(stem(word) for word in content_words(text))


def content_words(text: str) -> list[str]:
    """The content words of a text, in lower case and in order."""
    return [word for word in words_of(text) if not is_function_word(word)]


def words_of(text: str) -> list[str]:
    """The words of a text of three letters or more, in lower case and in order."""
    return _WORD.findall(text.lower())


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where each of `words_of` begins and ends in the text in lower case."""
    return [found.span() for found in _WORD.finditer(text.lower())]


def is_function_word(word: str) -> bool:
    """Whether a word in lower case says only how others belong together."""
    return word in _FUNCTION_WORDS


@functools.lru_cache(100_000)
def stem(word: str) -> str:
    """The stem of a word in lower case."""
    # A stemmer keeps the word that it works on: two threads in one give wrong stems, or an IndexError.
    with _STEMMING:
        return _stemmer()(word)


@functools.cache
def _stemmer() -> Callable[[str], str]:
    import snowballstemmer

    function: Callable[[str], str] = snowballstemmer.stemmer("english").stemWord
    return function


def subject(answer: str) -> str:
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
