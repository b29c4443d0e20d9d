"""What a language model is told how to write, apart from the words of the user, in one text that it gets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from unprompt.images.metadata.comfyui.values import Piece, Text

_INSTRUCTS = re.compile(
    r"\W*(?:you are|you're|you will|you must|act as|as an? (?:expert|professional|ai|assistant)"
    r"|your (?:task|job|role|goal)"
    r"|system\s*:|instructions?\s*:|role\s*:|task\s*:|rewrite|rephrase|expand|enhance|improve|translate|convert|analy[sz]e"
    r"|summari[sz]e|describe (?:this|the|what|in detail)|(?:write|generate|create|give me|provide|produce) "
    r"(?:an? |the |one )?(?:\w+ ){0,3}?(?:prompt|description|caption|paragraph)"
    r"|given (?:the|a|an|this)|based on (?:the|this)"
    r"|please (?:write|rewrite|describe|expand|generate|create)|respond |answer |return only|output only|do not |don't "
    r"|follow these|use the following|i want you to|can you|take the following)",
    re.IGNORECASE,
)
_USER_MARK = re.compile(
    r"(?:user(?:'s|s)?|raw|original|my|the|input|initial|base|short)?[ _]{0,3}(?:raw )?"
    r"(?:input|prompt|words|request|text|idea|description|query)(?: prompt)?(?: is)?\s{0,3}[:\uff1a]",
    re.IGNORECASE,
)
_MARK_LIMIT_CHARS = 20_000


def separate(text: Text) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The user's own words, and what instructs the model, of a text that it got."""
    users: list[Piece] = []
    instructions: list[Piece] = []
    for piece in text.pieces:
        for words, instructing in _parts(piece.text, piece.title):
            (instructions if instructing else users).append(Piece(words, piece.node))
    return tuple(users), tuple(instructions)


def _parts(text: str, title: str) -> Iterator[tuple[str, bool]]:
    """The parts of one piece, and whether each instructs."""
    if not (_INSTRUCTS.match(text) or re.search(r"system|instruct", title, re.IGNORECASE)):
        yield text, False
        return
    marks = list(_USER_MARK.finditer(text[-_MARK_LIMIT_CHARS:]))
    end = max(0, len(text) - _MARK_LIMIT_CHARS) + marks[-1].end() if marks else len(text)
    yield text[:end], True
    if text[end:].strip():
        yield text[end:], False
