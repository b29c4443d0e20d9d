"""How long a prompt is for the models that will read it."""

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
"""What CLIP's text towers read: 77 tokens, of which the start and the end take two. The rest of a prompt is ignored."""


def count_clip_tokens(text: str) -> int:
    """Tokens of a text in CLIP's own byte-pair encoding, start and end not counted."""
    # A lone surrogate is no text: the tokenizer would refuse it.
    readable = text.encode("utf-8", "replace").decode("utf-8")
    return len(load_clip_tokenizer().encode(readable, add_special_tokens=False))


def fits_clip(text: str) -> bool:
    """Whether CLIP reads all of a text."""
    return _fits(text, CLIP_CONTENT_TOKENS)


def cut_to_tokens(
    text: str, limit: int, *, before: str = "", after: str = "", count: Callable[[str], int] = count_clip_tokens
) -> str:
    """The text, cut at a comma, or else at a word, so that with `before` and `after` it has at most `limit` tokens.

    As much of it as fits; empty where not even one word does. `count` is how the target counts tokens.
    """

    def fits(part: str) -> bool:
        whole = before + part + after
        return _fits(whole, limit) if count is count_clip_tokens else count(whole) <= limit

    if fits(text):
        return text

    def too_long(place: int) -> bool:
        return not fits(text[:place].rstrip())

    places = [0, *_places(" ", text.partition(",")[0].rstrip()), *_places(",", text)]
    # The less is left, the fewer are its tokens, so the last place that fits is found by halving: a prompt may have
    # thousands of commas.
    return text[: places[bisect_left(places, True, lo=1, key=too_long) - 1]].rstrip()


@lru_cache(maxsize=1)
def load_clip_tokenizer() -> Tokenizer:
    """CLIP's tokenizer, read once. Raises ModelError where its file is damaged."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(find_model(CLIP_TOKENIZER).file("tokenizer.json")))


def _fits(text: str, limit: int) -> bool:
    # No token is shorter than a letter of ASCII, so many texts need not be encoded to know; others may be normalised to
    # more letters than they have.
    short = text.isascii() and len(text) <= limit
    return short or count_clip_tokens(text) <= limit


def _places(mark: str, text: str) -> list[int]:
    return [place for place, character in enumerate(text) if character == mark]
