"""A filter for terms that contain unwanted words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from unprompt.vocabulary.terms import clean

_Tokens = tuple[str, ...]

_ASCII_TOKENS = re.compile(r"[0-9a-z]+|.", re.DOTALL)
_JOINERS = "\u200c\u200d"
# Scripts without spaces between words: each character is a word of its own, as in Unicode's word boundaries.
_UNSPACED = re.compile(
    "[\u3005-\u3007\u3040-\u3096\u309d-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


class Exclusion:
    """Finds words and phrases in texts: whole words only, ignoring case.

    A word is a run of letters, digits and combining marks; every other character is a token of its own, and a phrase is
    a sequence of tokens. "cat" is found in "a black-cat, sitting" and in "cat_girl" but not in "category"; "c++" is
    found in "c++ code".

    Phrases are indexed by their first token, so ten thousand of them cost hardly more than one.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._words: set[str] = set()
        self._rows: dict[str, dict[int, set[_Tokens]]] = {}  # by first token, then by length
        for phrase in phrases:
            tokens = _tokens(clean(phrase))
            if len(tokens) == 1:
                self._words.add(tokens[0])
            elif tokens:
                self._rows.setdefault(tokens[0], {}).setdefault(len(tokens), set()).add(tuple(tokens))

    def found_in(self, text: str) -> bool:
        """Whether a clean text contains any of the phrases."""
        tokens = _tokens(text)
        if not self._words.isdisjoint(tokens):
            return True
        if self._rows.keys().isdisjoint(tokens):
            return False
        return any(
            tuple(tokens[place : place + length]) in rows
            for place, token in enumerate(tokens)
            for length, rows in self._rows.get(token, {}).items()
        )


def _tokens(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_TOKENS.findall(text.casefold())
    # Case folding may decompose characters.
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    tokens: list[str] = []
    in_word = False
    for character in text:
        if in_word and _goes_on(character):
            tokens[-1] += character
        else:
            tokens.append(character)
            in_word = _begins_word(character)
    return tokens


@lru_cache(4096)
def _begins_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN" and not _UNSPACED.match(character)


@lru_cache(4096)
def _goes_on(character: str) -> bool:
    return _begins_word(character) or unicodedata.category(character)[0] == "M" or character in _JOINERS
