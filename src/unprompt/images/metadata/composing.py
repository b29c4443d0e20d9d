"""Builds a `WrittenPrompt` from what a reader found; the one place that cleans, checks and limits it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from unprompt.images.metadata import cleaning
from unprompt.prediction import WrittenPrompt

LONGEST_PROMPT = 100_000
"""Characters. The longest real prompts have a few thousand; anything longer than this is not a prompt."""

_SETTING_LIMIT = 100
_VALUE_LIMIT_CHARS = 2_000
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,19})")
_DECIMAL = re.compile(r"-?\d{1,15}\.\d{1,15}")

Scalar: TypeAlias = "str | int | float | bool"


def compose(
    tool: str, prompt: object, negative: object = None, settings: Mapping[str, Any] | None = None
) -> WrittenPrompt | None:
    """Build a reader's result; None if the prompt is not a text, is empty once cleaned, or is too long.

    The negative prompt keeps its weights: it is shown, not embedded. Settings that are not single values are omitted.
    """
    if not isinstance(prompt, str) or len(prompt) > LONGEST_PROMPT:
        return None
    cleaned = cleaning.clean(prompt)
    if not cleaned:
        return None
    unwanted = cleaning.tidy(negative) if isinstance(negative, str) and len(negative) <= LONGEST_PROMPT else ""
    return WrittenPrompt(
        tool=tool,
        prompt=cleaned,
        negative_prompt=unwanted or None,
        settings=_scalars(settings or {}),
        raw=cleaning.mend(prompt),
        weighted=cleaning.differs(prompt, cleaned),
    )


def without(entries: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Copy the entries without these keys, such as settings without the prompts."""
    omitted = set(keys)
    return {key: value for key, value in entries.items() if key not in omitted}


def number(text: str) -> int | float | str:
    """Convert a setting's value to a number if it is one. `007` and `1e5` stay texts: they may be hashes."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _scalars(settings: Mapping[str, Any]) -> dict[str, Scalar]:
    scalars: dict[str, Scalar] = {}
    for key, value in settings.items():
        if len(scalars) >= _SETTING_LIMIT:
            break
        if isinstance(value, str):
            value = cleaning.tidy(value[:_VALUE_LIMIT_CHARS])
        if isinstance(value, (str, int, float)) and value != "":
            scalars[cleaning.tidy(key[:100])] = value
    return scalars
