"""Tokenizers of open_clip's text towers (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from torch import Tensor

from unprompt.errors import ModelError
from unprompt.towers.two_tower import JOINT

KNOWN_TERMS = 65_536
"""Number of terms whose tokens are cached: a chain tries the same few thousand at each step."""


class TextTokens:
    """Any tokenizer of open_clip. `longest` is the number of tokens the tower reads, without start and end."""

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self._tokenizer, self._length = tokenizer, context_length
        self.longest = context_length - self._additions()

    def count(self, text: str) -> int:
        """Number of tokens in a text, without start and end."""
        cleaned = self._tokenizer.clean_fn(_readable(text))
        return len(self._tokenizer.tokenizer(cleaned, add_special_tokens=False, verbose=False).input_ids)

    def padded(self, texts: Sequence[str]) -> Tensor:
        """Tokens (texts, context_length); longer texts are cut."""
        tokens = self._tokenizer([_readable(text) for text in texts], context_length=self._length)
        return cast(Tensor, tokens)

    def _additions(self) -> int:
        if self._tokenizer.tokenizer_mode == "clips":  # start, end and, after the padding, a class token
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
        """The text's tokens with start and end, cut to what the tower reads."""
        return self.framed(self._encode(text)[: self.longest])

    def framed(self, tokens: Sequence[int]) -> list[int]:
        """The tokens with start and end added."""
        return [self._tokenizer.sot_token_id, *tokens, self._tokenizer.eot_token_id]

    def start(self, prefix: str) -> list[int]:
        """The tokens with which nearly all continuations of a prefix begin."""
        return [self._tokenizer.sot_token_id, *self._encode(_before(prefix))]

    def continued(self, prefix: str, terms: Sequence[str]) -> list[list[int]]:
        """The tokens of f"{prefix}, {term}" for each term, without start and end, uncut."""
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
    """The tokenizer of an architecture. Raises ModelError if it is a file of the hub that is not available."""
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
    """Whether cleaning (ftfy, HTML entities, white space, case) treats each word of the text independently.

    Such a text has the same tokens alone as after other words, since no token of CLIP's spans white space. Texts that
    are not ASCII do not qualify: ftfy repairs their encoding by looking at the whole line.
    """
    return text.isascii() and text.isprintable() and "&" not in text


def _readable(text: str) -> str:
    """The text without lone surrogates, which no tokenizer accepts."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
