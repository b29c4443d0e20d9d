"""SwarmUI's own marks in a prompt: `<segment:face>`, `<random:a, b>`, `<setvar[x]:a>` and about thirty more.

Tags may be nested. Some begin a section, whose text is for a region, a later pass or a video alone.
Source: docs/Features/Prompt Syntax.md and src/Utils/PromptRegion.cs of mcmonkeyprojects/SwarmUI.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from unprompt.images.metadata.composing import LONGEST_PROMPT
from unprompt.prediction import Role

_TAG = re.compile(r"<([a-z]{1,12})(\[[^\[\]<>]{0,200}\])?(?=[:>])(?::)?|>|[^<>]+|<", re.IGNORECASE)
_NESTING_LIMIT = 32
_RECALL_LIMIT_CHARS = LONGEST_PROMPT  # of all variables together: each may repeat another twice

_SECTIONS: dict[str, Role] = {
    "base": "positive", "region": "region", "object": "region", "segment": "region", "clear": "instruction",
    "refiner": "refiner", "pixeldecoder": "refiner", "video": "refiner", "videoswap": "refiner", "extend": "refiner",
}  # fmt: skip
"""Tags that begin a section, and what its text is for. The text after `clear` erases a part of the picture."""

_IN_PROMPT = frozenset({"", "base", "region", "object"})
"""Sections that describe the picture itself; the others mend it or continue it."""

_CHOICES = frozenset({"random", "alternate", "alt", "fromto"})
_MODELS = frozenset({"lora", "embed", "embedding"})
_SILENT = frozenset({"comment", "break", "trigger", "wildcard", "wc", "preset", "p", "param"})
_STORES = {"setvar": "var", "setmacro": "macro"}
_KINDS = frozenset({*_SECTIONS, *_CHOICES, *_MODELS, *_SILENT, *_STORES, *_STORES.values(), "repeat"})


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the prompt: which tag began it ("" at the beginning), and its text without SwarmUI's marks."""

    kind: str
    text: str

    @property
    def role(self) -> Role:
        """What the text is for."""
        return _SECTIONS.get(self.kind, "positive")


@dataclass(slots=True)
class _Open:
    """A tag that is not closed yet: its name, its option in brackets and the pieces of its data so far."""

    name: str
    option: str
    pieces: list[str] = field(default_factory=list)

    @property
    def data(self) -> str:
        """What stands between the colon and the end."""
        return "".join(self.pieces).strip()


def is_in(prompt: str) -> bool:
    """Whether a text has any of the marks."""
    return any((tag[1] or "").lower() in _KINDS for tag in _TAG.finditer(prompt)) if "<" in prompt else False


def main_text(sections: list[Section]) -> str:
    """The words that describe the picture itself."""
    return " ".join(section.text for section in sections if section.kind in _IN_PROMPT and section.text)


def sections_of(prompt: str) -> list[Section]:
    """Split into sections, in order; an unclosed tag ends with the prompt."""
    reading = _Reading()
    for token in _TAG.finditer(prompt):
        reading.take(token)
    return reading.finished()


class _Reading:
    """What has been read of a prompt: finished sections, open tags and variables."""

    def __init__(self) -> None:
        self._sections: list[tuple[str, list[str]]] = [("", [])]
        self._open: list[_Open] = []
        self._variables: dict[tuple[str, str], str] = {}
        self._recalled = 0

    def take(self, token: re.Match[str]) -> None:
        """Add the next tag's beginning or end, or words."""
        name = (token[1] or "").lower()
        if name and (name in _KINDS or self._open) and len(self._open) < _NESTING_LIMIT:
            pieces = [] if name in _KINDS else [token[0]]  # another program's tag in one of ours stays
            self._open.append(_Open(name, (token[2] or "")[1:-1].strip(), pieces))
        elif token[0] == ">" and self._open:
            self._close()
        else:
            self._add(token[0])

    def finished(self) -> list[Section]:
        """The sections, once the prompt has ended."""
        while self._open:
            tag = self._open.pop()
            self._add(self._words(tag))
        return [Section(kind, " ".join("".join(pieces).split())) for kind, pieces in self._sections]

    def _close(self) -> None:
        tag = self._open.pop()
        if tag.name not in _SECTIONS or self._open:
            self._add(self._words(tag))
        elif tag.name == "region" and tag.data.partition("//")[0] == "end":
            self._sections.append(("", []))
        else:
            self._sections.append((tag.name, []))

    def _add(self, words: str) -> None:
        (self._open[-1].pieces if self._open else self._sections[-1][1]).append(words)

    def _words(self, tag: _Open) -> str:
        """The words that a tag stands for."""
        if tag.name not in _KINDS:
            return f"{tag.data}>"
        if tag.name in _CHOICES:
            entries = _choices(tag.data)
            return entries[-1 if tag.name == "fromto" else 0]
        if tag.name in _STORES:
            name, _, emit = tag.option.partition(",")
            self._variables[_STORES[tag.name], name.strip()] = tag.data
            return " " if emit.strip().lower() == "false" else tag.data
        if tag.name in _STORES.values():
            return self._recall(tag)
        return tag.data if tag.name == "repeat" else " "

    def _recall(self, tag: _Open) -> str:
        words = self._variables.get((tag.name, tag.data or tag.option), "")
        self._recalled += len(words)
        return words if self._recalled <= _RECALL_LIMIT_CHARS else " "


def _choices(data: str) -> list[str]:
    """The entries of a list; the rarest separator that occurs divides it."""
    separator = next((mark for mark in ("||", "|") if mark in data), ",")
    return [entry.strip() for entry in data.split(separator)]
