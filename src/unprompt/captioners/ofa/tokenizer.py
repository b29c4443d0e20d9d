"""OFA's tokenizer: BART's byte-pair encoding, with tokens for image codes and positions in pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from unprompt.captioners.ofa.configuration import END, PAD, START
from unprompt.captioners.ofa.files import MERGES, VOCABULARY
from unprompt.errors import ModelError

_SPECIAL = {"<s>": START, "<pad>": PAD, "</s>": END, "<unk>": 3}
_MASK = "<mask>"
_UNMADE = re.compile(r"<.*>|madeupword\d+", re.DOTALL)
"""Tokens that no merge produces: special tokens, codes and positions, and the fillers of BART's vocabulary."""
_ADDED = [f"<code_{code}>" for code in range(8192)] + [f"<bin_{place}>" for place in range(1000)]

_SPACED = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")
"""Where the published tokenizer removes spaces from decoded text."""


class OfaTokenizer:
    """The tokenizer of a checkpoint, from the contents of its vocab.json and merges.txt.

    Tokens for codes and positions follow the vocabulary unless it holds them already. Raises ModelError if the files
    are damaged or do not belong to a model with `size` tokens.
    """

    def __init__(self, vocabulary: str, merges: str, size: int) -> None:
        tokens = _read_vocabulary(vocabulary)
        found = len(tokens.keys() | set(_ADDED))
        if found != size:
            raise ModelError(
                f"{VOCABULARY} does not belong to the model: expected {size} tokens with those for codes and places, "
                f"found {found}; take both from one checkpoint"
            )
        pairs = _read_merges(merges)
        try:
            model = models.BPE(tokens, pairs)
        except Exception as error:  # tokenizers raises nothing more specific
            raise ModelError(f"{MERGES} does not belong to {VOCABULARY}: {error}") from error
        _check_whole(tokens, pairs)
        self._tokenizer = Tokenizer(model)
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._tokenizer.decoder = decoders.ByteLevel()
        self._tokenizer.add_special_tokens(list(_SPECIAL))
        if _MASK in tokens:
            self._tokenizer.add_special_tokens([AddedToken(_MASK, lstrip=True)])  # it absorbs the space before it
        self._tokenizer.add_tokens(_ADDED)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, with start and end."""
        readable = text.encode("utf-8", "replace").decode("utf-8")  # replaces lone surrogates
        return [START, *self._tokenizer.encode(readable).ids, END]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text, without special tokens and superfluous spaces."""
        text = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        for spaced in _SPACED:
            text = text.replace(spaced, spaced.strip())
        return text.strip()


def _read_vocabulary(text: str) -> dict[str, int]:
    try:
        tokens: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{VOCABULARY} is damaged: {error}") from error
    places: list[Any] = list(tokens.values()) if isinstance(tokens, dict) else [None]
    if not all(type(place) is int for place in places) or sorted(places) != list(range(len(places))):
        raise ModelError(f"{VOCABULARY} is damaged: expected a JSON object of tokens, numbered from 0 without a gap")
    if wrong := [token for token, place in _SPECIAL.items() if tokens.get(token) != place]:
        raise ModelError(f"{VOCABULARY} is not OFA's: expected {_SPECIAL}, found {wrong[0]} = {tokens.get(wrong[0])}")
    return dict(tokens)


def _read_merges(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#version")]
    pairs = [line.split(" ") for line in lines]
    if any(len(pair) != 2 for pair in pairs):
        raise ModelError(f"{MERGES} is damaged: expected two parts of a token in each line")
    return [(first, second) for first, second in pairs]


def _check_whole(tokens: Collection[str], pairs: Collection[tuple[str, str]]) -> None:
    """Raise ModelError if merges for some tokens are missing, which would split words into single letters."""
    made = {first + second for first, second in pairs}
    lacking = [token for token in tokens if len(token) > 1 and token not in made and not _UNMADE.fullmatch(token)]
    if lacking:
        raise ModelError(
            f"{MERGES} is cut short: expected a line for each token of {VOCABULARY}, found none for {len(lacking):,}, "
            f"such as {lacking[0][:40]!r}; take both from one checkpoint"
        )
