"""The kinds of sidecars: a text alone in a .txt or .caption, or a record in a .json with the text as its caption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unprompt.display import one_line
from unprompt.images.metadata.bounded_json import parse_object
from unprompt.output.jsonl import to_json

SIDECAR_LIMIT_BYTES = 1_000_000
"""The largest sidecar to which text is added, since it is read whole."""

_JSON = ".json"
_SETTINGS = "Steps:"  # in every infotext
_KEYS = ("caption", "prompt", "text")
"""Where a .json has its text; trainers read the first."""


def text_in(content: str, suffix: str) -> str:
    """The text that a sidecar's content holds; empty if it holds none, such as the .json of another program."""
    if suffix != _JSON:
        return content
    fields = parse_object(content)
    key = _key(fields)
    return "" if key is None else str(fields[key])


def is_caption(content: str, suffix: str) -> bool:
    """Whether a file beside a picture holds a text of its own, and not what a generator wrote of its settings."""
    if suffix == ".txt" and _SETTINGS in content:
        from unprompt.images.metadata.beside import written_as_text

        if written_as_text(content) is not None:
            return False
    return bool(text_in(content, suffix).strip())


def plain(text: str) -> str:
    """A text as sidecars hold it: one line, of what UTF-8 can encode."""
    return one_line(text).encode("utf-8", "replace").decode()  # UTF-8 has no lone surrogates


def content_of(text: str, record: Mapping[str, Any] | None, suffix: str) -> str:
    """The content of a new sidecar; a .json has the record of the answer beside its text."""
    return to_json({"caption": text, **(record or {})}, indent=2) + "\n" if suffix == _JSON else text


def changed(content: str, text: str, suffix: str) -> str:
    """The content of a sidecar that is there, with another text; the other fields of a .json stay."""
    if suffix != _JSON:
        return text
    fields = parse_object(content)
    return to_json({**fields, _key(fields) or _KEYS[0]: text}, indent=2) + "\n"


def _key(fields: Mapping[str, Any]) -> str | None:
    return next((key for key in _KEYS if isinstance(fields.get(key), str) and fields[key].strip()), None)
