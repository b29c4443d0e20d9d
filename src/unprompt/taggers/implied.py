"""Tags that say nothing new beside another: "white shirt" says "shirt", so trainers leave the second out.

Danbooru keeps a list of such pairs, which is not part of this package. Most of its pairs follow from the words: in an
English compound the last words are the thing itself, and those before them say which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_NEGATIONS = frozenset({"no", "non", "not", "without", "missing", "unworn"})
"""Words that deny what follows: "no hat" says nothing of a hat that is there."""

_ANIMALS = ("bear", "cat", "cow", "dog", "fox", "horse", "mouse", "rabbit", "raccoon", "sheep", "tiger", "wolf")

_SAID: Mapping[str, tuple[str, ...]] = {
    **{f"{animal}_ears": ("animal_ears",) for animal in _ANIMALS},
    "beret": ("hat",),
    "bikini": ("swimsuit",),
    "katana": ("sword", "weapon"),
    "sword": ("weapon",),
    "dagger": ("weapon",),
    "rifle": ("gun", "weapon"),
    "handgun": ("gun", "weapon"),
    "gun": ("weapon",),
}
"""Some pairs that do not follow from the words."""


def implied(tags: Iterable[str]) -> set[str]:
    """Those of the tags, with underscores, that another of them says as well.

    The work grows with the number of words in the tags, and not with that of pairs.
    """
    present = set(tags)
    said = (other for tag in present for other in (*_endings(tag), *_SAID.get(tag, ())))
    return present.intersection(said)


def _endings(tag: str) -> list[str]:
    """What is left of a tag without its first words; of one with a negation, only what follows behind that."""
    words = tag.split("_")
    if _NEGATIONS.intersection(words):
        return []
    return ["_".join(words[first:]) for first in range(1, len(words))]
