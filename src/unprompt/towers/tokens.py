"""Texts as the tokens that a text tower of open_clip reads (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from torch import Tensor

from unprompt.errors import ModelError
from unprompt.towers.two_tower import JOINT

KNOWN_TERMS = 65_536
"""Terms whose tokens are kept: a chain goes on with the same few thousand at each of its steps."""


class TextTokens:
    """A tokenizer of open_clip, whichever it is. `longest`: tokens that the tower reads, start and end not counted."""

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self._tokenizer, self._length = tokenizer, context_length
        self.longest = context_length - self._additions()

    def count(self, text: str) -> int:
        """Tokens of a text, start and end not counted."""
        cleaned = self._tokenizer.clean_fn(_readable(text))
        return len(self._tokenizer.tokenizer(cleaned, add_special_tokens=False, verbose=False).input_ids)

    def padded(self, texts: Sequence[str]) -> Tensor:
        """Tokens (texts, context_length); a text past that is cut."""
        tokens = self._tokenizer([_readable(text) for text in texts], context_length=self._length)
        return cast(Tensor, tokens)

    def _additions(self) -> int:
        if self._tokenizer.tokenizer_mode == "clips":  # start, end and, behind the padding, a class token
            return 3
        return int(self._tokenizer.tokenizer.num_special_tokens_to_add())


class ClipTokens(TextTokens):
    """CLIP's own byte-pair encoding."""

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        super().__init__(tokenizer, context_length)
        self._known = lru_cache(maxsize=KNOWN_TERMS)(self._encode)

    def count(self, text: str) -> int:
        return len(self._encode(text))

    def row(self, text: str) -> list[int]:
        """The text's tokens, with start and end, cut where the tower stops reading."""
        return self.framed(self._encode(text)[: self.longest])

    def framed(self, tokens: Sequence[int]) -> list[int]:
        """Between start and end."""
        return [self._tokenizer.sot_token_id, *tokens, self._tokenizer.eot_token_id]

    def start(self, prefix: str) -> list[int]:
        """With what the rows of nearly all texts begin that go on from a prefix."""
        return [self._tokenizer.sot_token_id, *self._encode(_before(prefix))]

    def continued(self, prefix: str, terms: Sequence[str]) -> list[list[int]]:
        """The tokens of f"{prefix}, {term}" for each term, start and end not counted, not cut."""
        before = self._encode(_before(prefix)) if _is_plain(prefix) else None
        return [
            [*before, *self._known(term)]
            if before is not None and _is_plain(term)
            else self._encode(prefix + JOINT + term)
            for term in terms
        ]

    def _encode(self, text: str) -> list[int]:
        return cast("list[int]", self._tokenizer.encode(_readable(text)))

    def _additions(self) -> int:
        return 2


def open_tokens(architecture: str, context_length: int) -> TextTokens:
    """The tokenizer of an architecture. Raises ModelError where it is a file of the hub that cannot be had."""
    import open_clip
    from open_clip.tokenizer import SimpleTokenizer

    try:
        tokenizer = open_clip.get_tokenizer(architecture)
    except OSError as error:
        raise ModelError(f"the tokenizer of {architecture} cannot be had: {error}") from error
    kind = ClipTokens if isinstance(tokenizer, SimpleTokenizer) else TextTokens
    return kind(tokenizer, context_length)


def _before(prefix: str) -> str:
    return prefix + JOINT.rstrip()


def _is_plain(text: str) -> bool:
    """Whether cleaning (ftfy, HTML entities, white space, case) treats each word of a text by itself.

    Then its tokens behind others are those that it has alone, because no token of CLIP's reaches over white space.
    Other letters are no such case: ftfy mends their encoding by the look of the whole line.
    """
    return text.isascii() and text.isprintable() and "&" not in text


def _readable(text: str) -> str:
    """A lone surrogate is no text: no tokenizer takes it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
