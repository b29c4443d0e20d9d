"""The text of an answer without what models say around it: thoughts, introductions, markdown, quotes, offers of help.

Every step takes time that grows no faster than the text. Whether an answer is a refusal is decided by its beginning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from unprompt.display import one_line

LONGEST = 4_000
"""Characters of a cleaned text; no prompt is longer."""

_THOUGHTS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
_MARKS = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|</?(?:s|bos|eos|pad|unk|image|start_of_turn|end_of_turn)>|\[/?INST\]|<(?:start|end)_of_image>"
)
_KEYS = ("prompt", "positive_prompt", "caption", "description", "tags", "text", "answer")

_WHAT = r"(?:prompt|caption|description|tags|answer|output|response)"
_INTRODUCTIONS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"assistant[ \t]{0,8}:?[ \t]{0,8}\n\s*",
        r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|no problem)[!.,:]\s+",
        r"i(?:'d| would) be happy to [^\n.!:]{1,80}[.!:]\s*",
        r"(?:here(?:'s| is| are)|below is|the following is)\b[^\n:]{0,120}:\s*",
        r"based on (?:the|this|your) (?:image|picture|photo)[^\n:.]{0,80}:\s*",
        rf"[#*_ ]{{0,6}}(?:(?:the|a|image|final|generated|positive|suggested|sd|stable diffusion|midjourney|"
        rf"text-to-image|detailed)[ -]){{0,3}}{_WHAT}(?: (?:for|of|is)\b[^\n:]{{0,60}})?[*_ ]{{0,4}}:[*_]{{0,4}}\s*",
        r"/imagine(?:\s+prompt)?\s*:?\s*",
        r"(?:the|this) (?:image|picture|photo|photograph|illustration|artwork|scene) "
        r"(?:shows|depicts|features|captures|presents|displays|portrays|is of)\s+",
    )
)
_INTRODUCTIONS_LIMIT = 4
"""The most introductions that are taken off one after the other."""

_FAREWELLS = (
    "let me know",
    "feel free",
    "would you like",
    "i hope ",
    "note:",
    "note that",
    "*note",
    "**note",
    "please ",
)
_NEGATIVE = re.compile(r"(?:^|\n)[ \t]*[*_#]{0,4}negative prompt\b", re.IGNORECASE)
_LINE_HEAD = re.compile(r"[ \t]*(?:#{1,6}[ \t]+|>[ \t]*|([-*+•]|\d{1,3}[.)])[ \t]+)")
_LINK = re.compile(r"!?\[([^\[\]\n]{1,200})\]\(https?:[^()\s]{1,500}\)")
_EMPHASIS = re.compile(r"(?<![\w*])\*([^*\n]{1,200})\*(?![\w*])")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“", "`": "`"}
_SPACES = re.compile(r"\s{2,}")

_REFUSALS = (
    r"(?:i'm|i am) (?:very )?sorry,? (?:but )?(?:i|this|that)\b",
    r"(?:sorry|apologies|unfortunately),? (?:but )?i (?:can't|cannot|can not|won't|am unable|am not able|'m unable)\b",
    r"i (?:can't|cannot|can not|won't|will not|must decline|decline|am unable|am not able)\b",
    r"i'm (?:unable|not able|not comfortable|not going to)\b",
    r"as an ai\b",
    r"my apologies\b",
    r"i apologi[sz]e\b",
)
_BLIND = (
    r"(?:i'm sorry,? but )?(?:i|it seems i) (?:don't|do not|can't|cannot|can not|am unable to|'m unable to) "
    r"(?:actually |directly |currently )?(?:see|view|access|receive|process)(?: any| an| the| your| that)*"
    r"(?: attached| uploaded)? (?:images?|pictures?|photos?|attachments?)\b",
    r"(?:there is |it seems (?:that )?there is |it looks like )?no (?:image|picture|photo)s? "
    r"(?:was|were|is|are|has been|provided|attached|uploaded)\b",
    r"please (?:provide|upload|share|attach) (?:the|an|a|your) (?:image|picture|photo)\b",
    r"as a (?:text|language)-(?:based|only) (?:ai|model|assistant)\b",
    r"(?:it (?:seems|looks)|you) [^.\n]{0,40}(?:forgot|didn't|haven't|did not) (?:to )?(?:attach|upload|provide)",
)
_REFUSED, _IS_BLIND = (re.compile("|".join(patterns)) for patterns in (_REFUSALS, _BLIND))
_HEAD = 200
"""The characters at the beginning of an answer in which a refusal shows."""


def clean(text: str, *, asked: str = "", is_cut: bool = False) -> str:
    """The text of an answer on one line; empty if nothing is left.

    `asked` is the question, which some servers repeat before the answer. With `is_cut` the answer ends in the middle,
    and what follows its last comma or full stop is dropped.
    """
    text = _without_question(text, asked)
    for step in _STEPS:
        text = step(text)
    return _finished(text)[:LONGEST] if is_cut else text[:LONGEST]


def is_refusal(text: str) -> bool:
    """Whether an answer begins as models decline to answer."""
    return _REFUSED.match(_head(text)) is not None


def is_blind(text: str) -> bool:
    """Whether an answer begins with the model's complaint that it sees no picture."""
    return _IS_BLIND.match(_head(text)) is not None


def _head(text: str) -> str:
    return _without_thoughts(text).lstrip(" \n\t\"'*").replace("’", "'")[:_HEAD].lower()


def _without_question(text: str, asked: str) -> str:
    _, found, after = text.rpartition(asked) if asked else ("", "", text)
    return after if found else text


def _without_thoughts(text: str) -> str:
    """Without what a model thinks before it answers; where the template opens the thought, only its end is there."""
    for opening, closing in _THOUGHTS:
        before, found, after = text.rpartition(closing)
        if found:
            text = after if after.strip() else before.partition(opening)[0]
        text = text.partition(opening)[0]
    return text


def _without_marks(text: str) -> str:
    return _MARKS.sub(" ", text).strip()


def _inside_fence(text: str) -> str:
    """What stands in the first block of code, without the name of its language."""
    _, found, after = text.partition("```")
    if not found:
        return text
    inside = after.partition("```")[0]
    first, line_end, rest = inside.partition("\n")
    return rest if line_end and first.strip().isalpha() else inside


def _inside_json(text: str) -> str:
    """The text of an answer that is a JSON object with one under a usual name."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for key in _KEYS if isinstance(table, Mapping) else ():
        value = table.get(key)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return ", ".join(value)
        if isinstance(value, str):
            return value
    return text


def _without_introductions(text: str) -> str:
    text = text.strip()
    for _ in range(_INTRODUCTIONS_LIMIT):
        plain = text.replace("’", "'")
        found = next((found for pattern in _INTRODUCTIONS if (found := pattern.match(plain))), None)
        if found is None or found.end() == len(text):
            break
        text = text[found.end() :].lstrip()
    return text


def _without_negative(text: str) -> str:
    found = _NEGATIVE.search(text)
    return text if found is None or not text[: found.start()].strip() else text[: found.start()]


def _without_farewells(text: str) -> str:
    paragraphs = [part for part in text.split("\n\n") if part.strip()]
    while len(paragraphs) > 1 and paragraphs[-1].strip().lower().startswith(_FAREWELLS):
        paragraphs.pop()
    return "\n\n".join(paragraphs)


def _without_markdown(text: str) -> str:
    """Plain lines, joined; entries of a list are joined by commas."""
    joined = ""
    for line in filter(str.strip, text.splitlines()):
        head = _LINE_HEAD.match(line)
        is_entry = head is not None and head[1] is not None
        plain = (line[head.end() :] if head else line).strip()
        if is_entry and joined:
            joined = joined.rstrip(" ,.;") + ", "
        joined += (" " if joined and not joined.endswith(" ") else "") + plain
    return _EMPHASIS.sub(r"\1", _LINK.sub(r"\1", joined.replace("**", "").replace("__", "")))


def _without_quotes(text: str) -> str:
    text = text.strip()
    for _ in range(3):
        closing = _QUOTES.get(text[:1], "")
        inner = text[1:-1]
        if len(text) < 2 or not closing or text[-1] != closing or text[0] in inner or closing in inner:
            break
        text = inner.strip()
    return text


def _on_one_line(text: str) -> str:
    return _SPACES.sub(" ", one_line(text))


def _finished(text: str) -> str:
    """Without the last piece, which is unfinished; the whole text where most of it would go."""
    end = max(text.rfind(", "), text.rfind(". "), text.rfind("; "))
    return text[:end] if end > len(text) // 2 else text


_STEPS: tuple[Callable[[str], str], ...] = (
    _without_thoughts,
    _without_marks,
    _inside_fence,
    _inside_json,
    _without_introductions,
    _without_negative,
    _without_farewells,
    _without_markdown,
    _without_introductions,
    _without_quotes,
    _without_introductions,
    _on_one_line,
)
