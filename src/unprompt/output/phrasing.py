"""Phrases an answer as the user wants it: with a template, replacements, a prefix, a suffix and a maximal length."""

from __future__ import annotations

import difflib
import os
import random
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from unprompt.display import NO_LINE, one_line, printable
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.ref import STANDARD_INPUT
from unprompt.output.records import Record
from unprompt.text.tokenizers import count_clip_tokens, cut_to_tokens

_NAME = re.compile(r"\w[\w -]*")
_MISTYPED = 0.8
"""The similarity (difflib's ratio) from which on a name counts as a mistyped field, not as a setting."""

_BRACES = "write {name} for a field, {{ and }} for braces themselves"
_EMPTY = "\0"
"""Marks an empty field until the commas around it are removed; a line of text never contains it."""

_STYLE_SETTINGS = ("style", "styles")


class Phrasing:
    """Turns an answer's record into a line of text.

    First the `replacements` (old, new) are applied to the prompt, in order; a phrase that is replaced by nothing takes
    its comma along. With `shuffle_from`, its parts between commas are then shuffled from that one on, in an order that
    follows from the picture's name and prompt. Then the fields of the `template` are
    filled in: `{prompt}`, `{negative_prompt}`, `{source}`, `{name}` (of the file, without its suffix), `{folder}` (its
    name), `{tool}`, `{origin}`, `{confidence}`, `{style}`; any other name is a setting in the file's metadata ("CFG
    scale" is `{cfg_scale}`). With an empty field, the comma that separated it is removed. `prefix` and `suffix` are
    added unchanged, and the text between them is cut, at a comma or else at a word, so that CLIP counts no more than
    `max_tokens` in all (it reads 75).

    Raises DataError (a broken template, an empty text to replace, no room), UnknownNameError (a mistyped field).
    """

    def __init__(
        self,
        template: str | None = None,
        prefix: str = "",
        suffix: str = "",
        replacements: Sequence[tuple[str, str]] = (),
        max_tokens: int | None = None,
        shuffle_from: int | None = None,
    ) -> None:
        self._template = _parsed(template) if template is not None else [("", "prompt")]
        self._before, self._after = NO_LINE.sub(" ", prefix), NO_LINE.sub(" ", suffix)
        self._replacements = replacements
        self._max_tokens, self._shuffle_from = max_tokens, shuffle_from
        if any(not old for old, _ in replacements):
            raise DataError("expected a text to replace, found an empty one; give OLD and NEW")
        if max_tokens is not None and max_tokens < (needed := count_clip_tokens(self._before + self._after) + 1):
            raise DataError(
                f"expected room for one token of the prompt beside prefix and suffix, {needed} tokens in all, found a "
                f"limit of {max_tokens}; raise it, or shorten the two"
            )

    @property
    def identity(self) -> str:
        """All that decides a text, in one line."""
        decided = (self._template, self._before, self._after, list(self._replacements), self._max_tokens)
        return repr(decided if self._shuffle_from is None else (*decided, self._shuffle_from))

    def __call__(self, record: Record) -> str:
        """Phrase an answer's record as one line. Raises KeyError for a record without a prompt, such as a failure."""
        text = self._filled_in(record)
        if self._max_tokens is not None:
            text = cut_to_tokens(text, self._max_tokens, before=self._before, after=self._after)
        return (self._before + text + self._after).strip()

    def _filled_in(self, record: Record) -> str:
        settings = _settings(record)
        pieces = []
        for literal, field in self._template:
            pieces.append(literal)
            if field == "prompt":
                pieces.append(self._prompt(record) or _EMPTY)
            elif field is not None:
                value = _FIELDS[field](record, settings) if field in _FIELDS else settings.get(field)
                pieces.append(one_line(_shown(value)) or _EMPTY)
        return _closed_up("".join(pieces))

    def _prompt(self, record: Record) -> str:
        prompt: str = record["prompt"]
        for old, new in self._replacements:
            prompt = prompt.replace(old, new) if new.strip() else _without(prompt, old)
        prompt = one_line(prompt)
        if self._shuffle_from is None:
            return prompt
        return _shuffled(prompt, self._shuffle_from, seed=f"{_name(record['source'])}\n{prompt}")


_Field = Callable[[Record, Mapping[str, Any]], Any]
_FIELDS: Mapping[str, _Field] = {
    "negative_prompt": lambda record, settings: record.get("negative_prompt"),
    "source": lambda record, settings: record["source"],
    "name": lambda record, settings: _name(record["source"]),
    "folder": lambda record, settings: _folder(record["source"]),
    "tool": lambda record, settings: record.get("tool"),
    "origin": lambda record, settings: record.get("origin"),
    "confidence": lambda record, settings: record.get("confidence", {}).get("estimate"),
    "self_similarity": lambda record, settings: record.get("self_similarity"),
    "similarity": lambda record, settings: record.get("self_similarity"),  # its old name
    "style": lambda record, settings: next((settings[name] for name in _STYLE_SETTINGS if settings.get(name)), None),
}
"""The value of each field, from the record and its settings; `{prompt}` is filled in by `Phrasing` itself."""


def _parsed(template: str) -> list[tuple[str, str | None]]:
    """Split a template into literal texts, each with the field that follows it, if any. Raises as `Phrasing` does."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise DataError(f"cannot read the template {printable(template)}: {error}; {_BRACES}") from error
    parsed: list[tuple[str, str | None]] = []
    for literal, field, spec, conversion in parts:
        if field is not None and (spec or conversion or not _NAME.fullmatch(field.strip()) or field.isdecimal()):
            raise DataError(f"expected a plain name between braces, found {printable(template)}; {_BRACES}")
        parsed.append((NO_LINE.sub(" ", literal), None if field is None else _known(_folded(field))))
    if all(field is None for _, field in parsed):
        raise DataError(f"expected a template with a field, such as {{prompt}}, found none in {printable(template)}")
    return parsed


def _known(field: str) -> str:
    """Return the field. Raises UnknownNameError if its name nearly equals a fixed one."""
    fixed = ("prompt", *_FIELDS)
    if field in fixed or field in _STYLE_SETTINGS:
        return field
    if difflib.get_close_matches(field, fixed, n=1, cutoff=_MISTYPED):
        raise UnknownNameError("template field", field, fixed)
    return field


def _without(prompt: str, phrase: str) -> str:
    """The prompt without a phrase: with its comma, brackets and weight where it stands alone between commas."""
    words = phrase.strip(" ,")
    if not words:
        return prompt.replace(phrase, "")
    alone = rf"\s*[(\[]*{re.escape(words)}(?::[\d.]+)?[)\]]*\s*"
    prompt = re.sub(rf"^(?:{alone}(?:,|$))+|,{alone}(?=,|$)", "", prompt)
    # Where it stands among other words, a single space stays between these.
    return re.sub(rf" {re.escape(phrase)}(?=[ ,]|$)|{re.escape(phrase)}", "", prompt)


def _shuffled(prompt: str, start: int, seed: str) -> str:
    tags = [tag for part in prompt.split(",") if (tag := part.strip())]
    moved = tags[start:]
    random.Random(seed).shuffle(moved)
    return ", ".join(tags[:start] + moved)


def _settings(record: Record) -> dict[str, Any]:
    """The settings in the file's metadata, by their names in templates."""
    return {_folded(name): value for name, value in record.get("settings", {}).items()}


def _folded(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _name(source: str) -> str:
    return os.path.splitext(os.path.basename(_path(source)))[0]


def _folder(source: str) -> str:
    """The name of the folder with the picture, also for a relative path without a folder."""
    path = _path(source)
    if path != source:
        return os.path.basename(os.path.dirname(path))
    if source == STANDARD_INPUT or re.fullmatch(r"<.*>", source):  # not a file
        return ""
    return os.path.basename(os.path.dirname(os.path.abspath(source)))


def _path(source: str) -> str:
    """The path in an address; any other source is a path itself."""
    address = re.match(r"https?://[^/?#]*([^?#]*)", source, re.IGNORECASE)
    return unquote(address[1]) if address else source


def _closed_up(text: str) -> str:
    """Remove the marks of empty fields, and the commas that separated them."""
    if _EMPTY not in text:
        return text
    text = re.sub(rf",[ {_EMPTY}]*{_EMPTY}[ {_EMPTY}]*(?=,|$)", "", text)
    text = re.sub(rf"^[ {_EMPTY}]*{_EMPTY}[ {_EMPTY}]*(,|$)", "", text)
    # The lookbehind keeps the time linear for a prompt with very many spaces.
    return re.sub(rf"(?<! ) *{_EMPTY}", "", text).strip()
