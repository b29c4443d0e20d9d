"""Which of the captions that a model proposes is taken: the first one that does not go round in circles."""

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
"""Words that say nothing of a picture by themselves."""

_JOINTS = r"[\W_]+"
_FEW, _SHARE = 4, 3
"""A caption has too few words when it has _FEW telling ones or more, and one in _SHARE of them, or less, is new."""


def first_sound(hypotheses: Sequence[str]) -> str:
    """The first caption that is not degenerate; where all are, what is left of the first without its repeats.

    Degenerate is a caption without words, of stop words alone, or in which words come back again and again ("a cat a
    cat a cat"). Empty where nothing is left of any.
    """
    texts = [hypothesis.strip() for hypothesis in hypotheses]
    mended = (_without_repeats(text) for text in texts)
    return next(filter(is_sound, texts), next(filter(None, mended), ""))


def is_sound(caption: str) -> bool:
    """Whether a caption says something, and does not say it again and again."""
    words = [word for _, word in _words(caption)]
    telling = [word for word in words if word not in STOP_WORDS]
    return bool(telling) and not _is_monotonous(telling) and _find_loop(words) is None


@dataclass(frozen=True, slots=True)
class _Loop:
    """A phrase of `period` words that comes again at once: `length` words from `start` on."""

    start: int
    period: int
    length: int

    @property
    def surplus(self) -> int:
        """How many words to leave out, so that the phrase stands once and what follows it still follows."""
        rounds, rest = divmod(self.length, self.period)
        closed = rest == self.period - 1 and self.period > 2  # "a cat and" twice, and "a cat": the last is the phrase
        return self.period * (rounds if closed else rounds - 1)


def _find_loop(words: Sequence[str]) -> _Loop | None:
    """The first phrase of the shortest period that comes again and again."""
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
    """Three times is too often, and so is twice and the beginning of a third ("a cat and a cat and a cat").

    People write "very very", "side by side by side" and "a picture of a picture of"; four words twice they do not.
    """
    if loop.period > 3:
        return loop.length >= 2 * loop.period
    return loop.length >= 3 * loop.period - (loop.period == 3)


def _is_monotonous(telling: Sequence[str]) -> bool:
    """Whether a few words come back without a period: "cat in a cat with the cat on cat"."""
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
    """Each word as it is written, and without case, punctuation and what else surrounds it."""
    bare = ((written, re.sub(rf"^{_JOINTS}|{_JOINTS}$", "", written.casefold())) for written in caption.split())
    return [(written, word) for written, word in bare if word]
