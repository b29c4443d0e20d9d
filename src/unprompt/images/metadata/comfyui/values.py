"""The values that flow through a graph: texts that remember where their pieces are from, numbers, lists of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from unprompt.images.metadata.composing import LONGEST_PROMPT

TEXT_LIMIT = 2 * LONGEST_PROMPT
"""Characters. A text that would become longer than this is dropped."""

_OTHERS_LIMIT = 8
_PIECE_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, and the node that holds it."""

    text: str
    node: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A text in pieces.

    `others` are the texts that it could be instead. It is `rewritten` if a language model got these words and its
    answer is not in the file, `drawn` if a part was chosen at random, and `partial` if words from outside the file
    are missing.
    """

    pieces: tuple[Piece, ...] = ()
    others: tuple[str, ...] = ()
    rewritten: bool = False
    drawn: bool = False
    partial: bool = False

    @property
    def plain(self) -> str:
        """The whole text."""
        return self.pieces[0].text if len(self.pieces) == 1 else "".join(piece.text for piece in self.pieces)

    @property
    def certain(self) -> bool:
        """Whether this is the text that the run used."""
        return not (self.others or self.rewritten or self.drawn or self.partial)


Value: TypeAlias = "Text | int | float | tuple[Text, ...] | None"
"""None is a value that the file does not tell."""

EMPTY = Text()


def text_of(words: str, node: str = "", title: str = "") -> Text:
    """A text of one piece."""
    return Text((Piece(words, node, title),)) if words else EMPTY


def as_text(value: Value) -> Text:
    """A value as a text: numbers are written out, of several texts the first counts and the others are alternatives."""
    if isinstance(value, Text):
        return value
    if isinstance(value, tuple):
        return either(value)
    return EMPTY if value is None else text_of(str(value))


def as_items(value: Value) -> tuple[Text, ...]:
    """A value as a list of texts."""
    if isinstance(value, tuple):
        return value
    text = as_text(value)
    return (text,) if text.pieces else ()


def as_number(value: Value) -> int | float | None:
    """A value as a number; texts such as "2" and "true" count."""
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, Text) or value.others:
        return None
    words = value.plain.strip().lower()
    if words in ("true", "yes", "on", "enable", "enabled"):
        return True
    if words in ("false", "no", "off", "disable", "disabled"):
        return False
    return float(words) if re.fullmatch(r"-?\d{1,15}(?:\.\d{0,15})?", words) else None


def either(texts: Iterable[Text]) -> Text:
    """One of several texts: the first, and the others as what it could be instead."""
    found = [text for text in texts if text.plain.strip()]
    if not found:
        return EMPTY
    first, *rest = found
    others = [*first.others, *(words for text in rest for words in (text.plain, *text.others))]
    return replace(first, others=_unlike(first.plain, others))


def mapped(function: Callable[[str], str], text: Text) -> Text:
    """A text after a change, with its alternatives changed as well."""
    return combined(lambda words: function(words[0]), [text])


def combined(function: Callable[[Sequence[str]], str], texts: Sequence[Text]) -> Text:
    """A text that is made of others, for each of their alternatives too."""
    plain = [text.plain for text in texts]
    words = function(plain)
    node = next((piece.node for text in texts for piece in text.pieces), "")
    return _marked(text_of(words, node).pieces, _alternatives(function, texts, plain, words), texts)


def joined(texts: Sequence[Text], delimiter: str = "") -> Text:
    """The texts one after the other; their pieces stay apart."""
    pieces: list[Piece] = []
    for index, text in enumerate(texts):
        if index and delimiter:
            pieces.append(Piece(delimiter))
        pieces.extend(text.pieces)
    plain = [text.plain for text in texts]
    if sum(map(len, plain)) + len(delimiter) * len(plain) > TEXT_LIMIT:
        return Text(partial=True)
    if len(pieces) > _PIECE_LIMIT:
        pieces = [Piece(delimiter.join(plain), pieces[0].node)]
    others = _alternatives(delimiter.join, texts, plain, delimiter.join(plain))
    return _marked(tuple(pieces), others, texts)


def replaced(text: Text, find: str, put: Text) -> Text:
    """The text with `put` in each place of `find`; the pieces of both stay apart, so that a template can be told."""
    if not find or find not in text.plain:
        return text
    count = text.plain.count(find)
    if len(text.plain) + count * len(put.plain) > TEXT_LIMIT:
        return text
    if count > _PIECE_LIMIT or text.others or put.others or len(text.pieces) != 1:
        return combined(lambda words: words[0].replace(find, words[1]), [text, put])
    holder = text.pieces[0]
    parts = [Text((replace(holder, text=part),)) if part else EMPTY for part in text.plain.split(find)]
    pieces: list[Text] = []
    for index, part in enumerate(parts):
        pieces.extend([put, part] if index else [part])
    return _marked(joined(pieces).pieces, (), [text, put])


def _alternatives(
    function: Callable[[Sequence[str]], str], texts: Sequence[Text], plain: Sequence[str], words: str
) -> tuple[str, ...]:
    """What the function makes of each alternative of each text, the others as they are."""
    varied = (
        function([*plain[:index], other, *plain[index + 1 :]])
        for index, text in enumerate(texts)
        for other in text.others
    )
    return _unlike(words, varied)


def _unlike(words: str, others: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for other in others:
        if other.strip() and other != words:
            found.setdefault(other)
        if len(found) >= _OTHERS_LIMIT:
            break
    return tuple(found)


def _marked(pieces: tuple[Piece, ...], others: tuple[str, ...], texts: Sequence[Text]) -> Text:
    return Text(
        pieces,
        others,
        any(text.rewritten for text in texts),
        any(text.drawn for text in texts),
        any(text.partial for text in texts),
    )
