"""The length of prompts in tokens of CLIP, and cutting them to a limit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from unprompt.models.store.registry import find_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CLIP_TOKENIZER = "clip_tokenizer.unprompt"
CLIP_CONTENT_TOKENS = 75
"""The tokens of a prompt that CLIP reads: 77, less the start and the end token. The rest is ignored."""


def count_clip_tokens(text: str) -> int:
    """The number of tokens of a text in CLIP's byte-pair encoding, without the start and the end token."""
    # The tokenizer refuses lone surrogates.
    readable = text.encode("utf-8", "replace").decode("utf-8")
    return len(load_clip_tokenizer().encode(readable, add_special_tokens=False))


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
    """CLIP's tokenizer, read once. Raises ModelError if its file is damaged."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(find_model(CLIP_TOKENIZER).file("tokenizer.json")))


def _fits(text: str, limit: int) -> bool:
    # An ASCII text has at most one token for each character, so short ones need not be encoded. Other texts may be
    # normalised to more characters than they have.
    short = text.isascii() and len(text) <= limit
    return short or count_clip_tokens(text) <= limit


def _places(mark: str, text: str) -> list[int]:
    return [place for place, character in enumerate(text) if character == mark]
