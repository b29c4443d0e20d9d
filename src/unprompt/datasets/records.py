"""Records: what every layout of a data set is read into, and the pair or the fault that a record becomes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.images.ref import ImageRef

PROMPT_KEYS = ("prompt", "text", "caption", "title")
"""The names of the field with the prompt; the first that a record has is used. open_clip's is `title`."""

PICTURE_KEYS = ("file_name", "filepath", "image")
"""The names of the field with the picture's path: Hugging Face's, open_clip's and LLaVA's."""

_ANSWERS = (("conversations", "from", "value"), ("messages", "role", "content"))
_ANSWERING = ("gpt", "assistant")
"""Where LLaVA and chat data sets have what is said of a picture: the first words of whoever answers."""

_SHOWN = 80  # characters of a value that messages show
_FAULTS_SHOWN = 3  # of each kind
_SHARED, _SHARED_LENGTH = 4096, 64  # number of shared texts, and their maximum length
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and its prompt.

    `name` is unique within the data set: the file's name, the archive member, or file and row. `picture` can be read at
    any time and from several threads. `fields` are the record's other fields: kind, group, seed, ...; `captions`, if
    present, is a list of texts, and `group` an integer or None.
    """

    name: str
    prompt: str
    picture: ImageRef
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a part of a data set gives no pair.

    `kind`: broken-record, wrong-columns, empty-prompt, missing-text, duplicate-name, outside-folder, missing-file,
    broken-picture, broken-file (the rest of the file is lost). `where` is the file with the line, row or key.
    """

    kind: str
    where: str
    message: str


class Faults:
    """The faults of a data set: `counts` by kind, and the first few of each kind to show."""

    def __init__(self, counts: Counter[str] | None = None) -> None:
        self.counts: Counter[str] = Counter() if counts is None else counts
        self._first: dict[str, list[Fault]] = {}

    def add(self, fault: Fault) -> None:
        """Count one fault."""
        self.counts[fault.kind] += 1
        if self.counts[fault.kind] <= _FAULTS_SHOWN:
            self._first.setdefault(fault.kind, []).append(fault)

    def error(self, source: str, sound: int, option: str) -> DataError:
        """The error to raise; `option` is suggested for leaving the faults out, if there are `sound` records."""
        counts = ", ".join(f"{count:,} {kind}" for kind, count in self.counts.most_common())
        places = "; ".join(
            f"{kind}: {fault.where}: {fault.message}" for kind in self._first for fault in self._first[kind]
        )
        found = f"{sound:,} sound records and faults beside them" if sound else "nothing else"
        advice = f"; mend these, or leave them out with {option}" if sound else ""
        return DataError(f"expected no faults in {printable(source)}, found {found} ({counts}): {places}{advice}")


@dataclass(frozen=True, slots=True)
class Record:
    """One picture of a data set with its fields; nothing is checked yet.

    Where prompts alone are read, `picture` is None and `name` is empty.
    """

    where: str
    name: str
    picture: ImageRef | None
    fields: dict[str, Any]


def pair_of(record: Record) -> Pair | Fault:
    """The pair that a record with a picture holds, or its fault. Modifies the record's `fields`."""
    prompt = prompt_of(record)
    if isinstance(prompt, Fault):
        return prompt
    assert record.picture is not None
    return Pair(record.name, prompt, record.picture, record.fields)


def prompt_of(record: Record) -> str | Fault:
    """The prompt of a record, taken out of its `fields`, or its fault."""
    fields = record.fields
    key = key_of(PROMPT_KEYS, fields)
    if key is not None:
        prompt = fields.pop(key)
    elif (prompt := _answer(fields)) is None:
        return wrong_columns(record.where, "a prompt", PROMPT_KEYS, fields)
    if prompt is None or (isinstance(prompt, str) and not prompt.strip()):
        return Fault("empty-prompt", record.where, f"expected {key!r} to be a text, found an empty one; fill it in")
    if not is_text(prompt):
        return broken(record.where, key or PROMPT_KEYS[0], "a text", prompt)
    captions = fields.get("captions")
    if captions is not None and not (isinstance(captions, list) and all(is_text(caption) for caption in captions)):
        return broken(record.where, "captions", "a list of texts", captions)
    group = fields.get("group")
    if group is not None and (not isinstance(group, int) or isinstance(group, bool)):
        return broken(record.where, "group", "a whole number", group)
    return prompt


def key_of(wanted: Collection[str], found: Collection[str]) -> str | None:
    """The first of the wanted keys that a record has, as the record spells it: `Prompt` is `prompt`."""
    if exact := next((key for key in wanted if key in found), None):
        return exact
    folded = {key.casefold(): key for key in found if isinstance(key, str)}
    return next((folded[key] for key in wanted if key in folded), None)


def _answer(fields: Mapping[str, Any]) -> str | None:
    """What a conversation about a picture says first; None if there is none."""
    for key, speaker, said in _ANSWERS:
        turns = fields.get(key)
        for turn in turns if isinstance(turns, list) else ():
            if isinstance(turn, dict) and turn.get(speaker) in _ANSWERING and is_text(turn.get(said)):
                return str(turn[said]).strip()
    return None


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a string that can be encoded as UTF-8, which excludes lone surrogates."""
    return isinstance(value, str) and not _SURROGATE.search(value)


def wrong_columns(where: str, what: str, expected: Collection[str], found: Collection[str]) -> Fault:
    """The fault of a table or record without the field for its picture or its prompt."""
    names = ", ".join(repr(name) for name in expected)
    message = f"expected {what} in {names}, found {shown(', '.join(map(str, found)) or 'nothing')}; rename the field"
    return Fault("wrong-columns", where, message)


def shown(value: object) -> str:
    """An untrusted value as messages may show it: short, and without control characters."""
    text = printable(value[: _SHOWN + 1] if isinstance(value, str) else repr(value))
    return repr(value) if value is None else text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def broken(where: str, key: str, expected: str, value: object) -> Fault:
    """The fault of a field whose value is of another kind."""
    return Fault("broken-record", where, f"expected {key!r} to be {expected}, found {shown(value)}; mend the record")


class SharedTexts:
    """Shares one object among equal short texts, since a parser creates one for each key and value of each record."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def fields(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The same record, made of shared texts."""
        return {self._one(key): self._one(value) if isinstance(value, str) else value for key, value in record.items()}

    def _one(self, text: str) -> str:
        if len(text) > _SHARED_LENGTH:
            return text
        return self._known.setdefault(text, text) if len(self._known) < _SHARED else self._known.get(text, text)
