"""The length of prompts in tokens of CLIP, and cutting them to a limit."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from unprompt.models.store.registry import find_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CLIP_TOKENIZER = "clip_tokenizer.unprompt"
CLIP_CONTENT_TOKENS = 75
"""The tokens of a prompt that CLIP reads: 77, less the start and the end token. The rest is ignored."""

MERGES = "merges.txt"
"""The pairs that are merged, one a line, first things first; all else of the tokenizer follows from them."""

_CONTRACTIONS = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"""
_WORDS = rf"{_CONTRACTIONS}|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+"
_ASCII_WORDS = re.compile(rf"{_CONTRACTIONS}|[a-z]+|[0-9]|[^ a-z0-9]+")
_ASCII = re.compile("[ -~]*")
_SPACE = re.compile("[ \\t\\n]")
_PART = 10_000
"""Characters that the tokenizer is given at a time, and those up to the next white space."""

_LONGEST_WORD = 64
"""Letters of a word that is merged here, where the time grows with the square of its length."""


def count_clip_tokens(text: str) -> int:
    """The number of tokens of a text in CLIP's byte-pair encoding, without the start and the end token."""
    if _ASCII.fullmatch(text):  # as most are; the tokenizer takes ten times as long to load as the merges alone
        words = _ASCII_WORDS.findall(text.lower())
        if max(map(len, words), default=0) <= _LONGEST_WORD:
            return sum(map(_count_tokens, words))
    tokenizer = load_clip_tokenizer()
    return sum(len(tokenizer.encode(part, add_special_tokens=False)) for part in _parts(text))


def _parts(text: str) -> Iterator[str]:
    """A text in parts, none of them long, that end before white space, over which no token goes; a word is one part.

    The tokenizer takes 200 bytes of memory for each character that it is given.
    """
    # The tokenizer refuses lone surrogates.
    readable = text.encode("utf-8", "replace").decode("utf-8")
    start = 0
    while start < len(readable):
        space = _SPACE.search(readable, start + _PART)
        end = space.start() if space else len(readable)
        yield readable[start:end]
        start = end


def fits_clip(text: str) -> bool:
    """Whether CLIP reads all of a text."""
    return _fits(text, CLIP_CONTENT_TOKENS)


def cut_to_tokens(
    text: str, limit: int, *, before: str = "", after: str = "", count: Callable[[str], int] = count_clip_tokens
) -> str:
    """Cuts a text at a comma, or else at a word, so that before + text + after has at most `limit` tokens.

    Keeps as much as fits; the result is empty if not even one word does. `count` counts the tokens of a text.
    """

    def fits(part: str) -> bool:
        whole = before + part + after
        return _fits(whole, limit) if count is count_clip_tokens else count(whole) <= limit

    if fits(text):
        return text

    def too_long(place: int) -> bool:
        return not fits(text[:place].rstrip())

    places = [0, *_places(" ", text.partition(",")[0].rstrip()), *_places(",", text)]
    # A shorter text never has more tokens, so bisection finds the last place that fits: a prompt may have thousands of
    # commas.
    return text[: places[bisect_left(places, True, lo=1, key=too_long) - 1]].rstrip()


@lru_cache(maxsize=1)
def load_clip_tokenizer() -> Tokenizer:
    """CLIP's tokenizer, made once. Raises ModelError if its file is damaged."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in load_merges())]
    letters = list(_byte_letters())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, pairs)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    model = models.BPE(vocabulary, pairs, unk_token="<|endoftext|>", end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def _byte_letters() -> Iterator[str]:
    """The characters that stand for bytes, in CLIP's (GPT-2's) order: printable ones as themselves, then the others."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    yield from map(chr, printable)
    yield from (chr(256 + index) for index in range(256 - len(printable)))


@lru_cache(maxsize=1)
def load_merges() -> Mapping[str, int]:
    """The merges of CLIP's encoding as "left right", with their places in the order, read once. Raises ModelError."""
    merges = find_model(CLIP_TOKENIZER).file(MERGES).read_text(encoding="utf-8").splitlines()
    return {merge: rank for rank, merge in enumerate(merges)}


@lru_cache(maxsize=4096)
def _count_tokens(word: str) -> int:
    """The tokens of a word: of all pairs of neighbours, the one first in the order is merged, until none is in it.

    Source: Sennrich et al., "Neural machine translation of rare words with subword units" (2016).
    """
    ranks = load_merges()
    parts = [*word[:-1], f"{word[-1]}</w>"]
    while len(parts) > 1:
        found = [ranks.get(f"{left} {right}", len(ranks)) for left, right in pairwise(parts)]
        first = min(found)
        if first == len(ranks):
            break
        place = found.index(first)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return len(parts)


def _fits(text: str, limit: int) -> bool:
    # An ASCII text has at most one token for each character, so short ones need not be encoded. Other texts may be
    # normalised to more characters than they have.
    short = text.isascii() and len(text) <= limit
    return short or count_clip_tokens(text) <= limit


def _places(mark: str, text: str) -> list[int]:
    return [place for place, character in enumerate(text) if character == mark]
