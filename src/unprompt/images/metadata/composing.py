"""Builds a `WrittenPrompt` from what a reader found; the one place that cleans, checks and limits it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any, TypeAlias

from unprompt.images.metadata import cleaning
from unprompt.images.metadata.tags import merged, tagged
from unprompt.prediction import Certainty, Resource, WrittenPrompt, WrittenText

LONGEST_PROMPT = 100_000
"""Characters. The longest real prompts have a few thousand; anything longer than this is not a prompt."""

_SETTING_LIMIT = 100
_VALUE_LIMIT_CHARS = 2_000
_JSON_LIMIT_CHARS = 100_000  # of all settings that are JSON: what is cut off is JSON no longer
_TEXT_LIMIT = 100
_RESOURCE_LIMIT = 100
_NAME_LIMIT_CHARS = 300
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,19})")
_DECIMAL = re.compile(r"-?\d{1,15}\.\d{1,15}")

Scalar: TypeAlias = "str | int | float | bool"


def compose(
    tool: str,
    prompt: object,
    negative: object = None,
    settings: Mapping[str, Any] | None = None,
    *,
    raw: str | None = None,
    certainty: Certainty = "written",
    texts: Iterable[WrittenText] = (),
    resources: Iterable[Resource] = (),
    candidates: Iterable[str] = (),
    note: str = "",
) -> WrittenPrompt | None:
    """Build a reader's result; None if the prompt is not a text, is empty once cleaned, or is too long.

    The negative prompt keeps its weights: it is shown, not embedded. Settings that are not single values are omitted.
    `raw` is the text as it is in the file, if `prompt` is less than that. `texts` are needed only if there are more
    than the prompt and the negative prompt. `resources` need not repeat tags of the prompts such as `<lora:name:0.8>`.
    """
    if not isinstance(prompt, str) or len(prompt) > LONGEST_PROMPT:
        return None
    cleaned = cleaning.clean(cleaning.without_opening(prompt))
    if not cleaned:
        return None
    unwanted = negative if isinstance(negative, str) and len(negative) <= LONGEST_PROMPT else ""
    unwanted = cleaning.tidy(cleaning.without_opening(unwanted))
    written = prompt if raw is None or len(raw) > LONGEST_PROMPT else raw
    return WrittenPrompt(
        tool=tool,
        prompt=cleaned,
        negative_prompt=unwanted or None,
        settings=_scalars(settings or {}),
        raw=cleaning.mend(written),
        weighted=cleaning.differs(written, cleaned),
        certainty=certainty,
        texts=_texts(texts) or _own_texts(cleaned, unwanted),
        resources=_resources(chain(resources, tagged(written), tagged(unwanted))),
        candidates=_candidates(cleaned, candidates),
        note=cleaning.tidy(note),
    )


def compose_wordless(
    tool: str, settings: Mapping[str, Any] | None = None, *, resources: Iterable[Resource] = (), note: str = ""
) -> WrittenPrompt:
    """Build the result of a reader that finds the maker of a picture, or settings, but no prompt."""
    return WrittenPrompt(
        tool, "", settings=_scalars(settings or {}), resources=_resources(resources), note=cleaning.tidy(note)
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
    json_left = _JSON_LIMIT_CHARS
    for key, value in settings.items():
        if len(scalars) >= _SETTING_LIMIT:
            break
        if isinstance(value, str) and _is_json(value):
            value = cleaning.tidy(value) if len(value) <= json_left else ""
            json_left -= len(value)
        elif isinstance(value, str):
            value = cleaning.tidy(value[:_VALUE_LIMIT_CHARS])
        if isinstance(value, (str, int, float)) and value not in ("", "{}", "[]"):
            scalars[cleaning.tidy(key[:100])] = value
    return scalars


def _is_json(value: str) -> bool:
    return value[:1] + value[-1:] in ("{}", "[]")


def _own_texts(prompt: str, negative: str) -> tuple[WrittenText, ...]:
    texts = (WrittenText(prompt, "positive"), WrittenText(negative, "negative"))
    return tuple(text for text in texts if text.text)


def _texts(texts: Iterable[WrittenText]) -> tuple[WrittenText, ...]:
    """The texts, each cleaned according to its role, without empty, repeated and endless ones."""
    found: dict[tuple[str, str], WrittenText] = {}
    for text in islice(texts, _TEXT_LIMIT):
        clean = cleaning.tidy if text.role in ("negative", "instruction") else cleaning.clean
        words = text.text if text.role == "instruction" else cleaning.without_opening(text.text)
        words = clean(words) if len(text.text) <= LONGEST_PROMPT else ""
        if words:
            node = cleaning.tidy(text.node[:_NAME_LIMIT_CHARS])
            found.setdefault((words, text.role), WrittenText(words, text.role, node, text.weight))
    return tuple(found.values())


def _resources(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """The resources, each once, with names on one line."""
    found = []
    for resource in islice(resources, _RESOURCE_LIMIT):
        name = cleaning.tidy(resource.name[:_NAME_LIMIT_CHARS])
        digest = None if resource.hash is None else cleaning.tidy(resource.hash[:_NAME_LIMIT_CHARS]) or None
        if name or digest:
            found.append(Resource(resource.kind, name, resource.weight, digest))
    return tuple(merged(found))


def _candidates(prompt: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """The prompt and the others that it could be, cleaned; empty if there are no others."""
    others = (cleaning.clean(text) for text in islice(candidates, _TEXT_LIMIT) if len(text) <= LONGEST_PROMPT)
    found = tuple(dict.fromkeys((prompt, *filter(None, others))))
    return found if len(found) > 1 else ()
