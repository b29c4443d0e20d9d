"""Choosing a caption: of those that a model proposes, the first that does not repeat itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LITTLE = """
a an the this that these those there it its he his she her they their them you your we our i my one some any what which
who where when how of in on at by to from for with without into onto over under near next up down out off as and or but
if while through between behind before after above below is are was were be been being has have had do does did not no
then than so such very
"""
STOP_WORDS = frozenset(_LITTLE.split())
"""Words that on their own say nothing about a picture."""

_JOINTS = r"[\W_]+"
_FEW, _SHARE = 4, 3
"""A caption is monotonous if it has at least _FEW content words and at most one in _SHARE of them is distinct."""


def first_sound(hypotheses: Sequence[str]) -> str:
    """The first caption that is not degenerate or, if all are, the first one's remains without its repeats.

    A caption is degenerate if it has no words or only stop words, or repeats itself ("a cat a cat a cat"). Returns an
    empty text if nothing remains of any caption.
    """
    texts = [hypothesis.strip() for hypothesis in hypotheses]
    mended = (_without_repeats(text) for text in texts)
    return next(filter(is_sound, texts), next(filter(None, mended), ""))


def is_sound(caption: str) -> bool:
    """Whether a caption has content words and does not repeat itself."""
    words = [word for _, word in _words(caption)]
    telling = [word for word in words if word not in STOP_WORDS]
    return bool(telling) and not _is_monotonous(telling) and _find_loop(words) is None


@dataclass(frozen=True, slots=True)
class _Loop:
    """A phrase of `period` words that repeats immediately, over `length` words from index `start`."""

    start: int
    period: int
    length: int

    @property
    def surplus(self) -> int:
        """The number of words to remove so that the phrase appears once, before whatever follows it."""
        rounds, rest = divmod(self.length, self.period)
        closed = rest == self.period - 1 and self.period > 2  # in "a cat and a cat and a cat", the last one is kept
        return self.period * (rounds if closed else rounds - 1)


def _find_loop(words: Sequence[str]) -> _Loop | None:
    """The first degenerate loop of the shortest period, or None."""
    for period in range(1, len(words) // 2 + 1):
        start = 0
        for end in range(period, len(words) + 1):
            if end < len(words) and words[end] == words[end - period]:
                continue
            loop = _Loop(start, period, end - start)
            if _is_degenerate(loop):
                return loop
            start = end - period + 1
    return None


def _is_degenerate(loop: _Loop) -> bool:
    """Three repeats are too many, as are two and the beginning of a third ("a cat and a cat and a cat").

    People do write "very very", "side by side by side" and "a picture of a picture of", but never repeat four words.
    """
    if loop.period > 3:
        return loop.length >= 2 * loop.period
    return loop.length >= 3 * loop.period - (loop.period == 3)


def _is_monotonous(telling: Sequence[str]) -> bool:
    """Whether a few content words keep returning without a fixed period: "cat in a cat with the cat on cat"."""
    return len(telling) >= _FEW and len(set(telling)) * _SHARE <= len(telling)


def _without_repeats(caption: str) -> str:
    words = _words(caption)
    while loop := _find_loop([word for _, word in words]):
        del words[loop.start : loop.start + loop.surplus]
    if _is_monotonous([word for _, word in words if word not in STOP_WORDS]):
        words = [pair for place, pair in enumerate(words) if pair[1] not in {word for _, word in words[:place]}]
    while words and words[-1][1] in STOP_WORDS:
        words.pop()
    return " ".join(written for written, _ in words).rstrip(" ,;:-")


def _words(caption: str) -> list[tuple[str, str]]:
    """Each word as written, and in lower case without the punctuation around it."""
    bare = ((written, re.sub(rf"^{_JOINTS}|{_JOINTS}$", "", written.casefold())) for written in caption.split())
    return [(written, word) for written, word in bare if word]
