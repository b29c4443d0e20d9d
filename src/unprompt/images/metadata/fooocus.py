"""Fooocus and its forks.

Today: PNG text `parameters` with `fooocus_scheme` ("fooocus": JSON, "a1111": AUTOMATIC1111's text); JPEG and WebP: EXIF
`UserComment` and `MakerNote` (the scheme) in the first directory, `Software` "Fooocus v2...". RuinedFooocus writes JSON
with `software`. Fooocus-MRE wrote JSON into `Comment` (a JPEG's comment segment).
Source: modules/meta_parser.py of lllyasviel/Fooocus; sd-prompt-reader for Fooocus-MRE.
"""

from __future__ import annotations

from typing import Any

from unprompt.images.metadata import a1111, bounded_json
from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

_PROMPTS = ("prompt", "Prompt", "real_prompt")
_NEGATIVES = ("negative_prompt", "Negative Prompt", "Negative", "real_negative_prompt")
_OWN_KEYS = frozenset({"base_model", "base_model_name", "performance", "Performance", "full_prompt", "real_prompt"})


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt under `parameters` or in `UserComment`, in either scheme."""
    text = fields.text.get("parameters") or fields.exif.get("UserComment")
    if not text or len(text) > LONGEST_PROMPT:
        return None
    entries = bounded_json.parse_object(text)
    if entries:
        return _answer(entries) if _is_ours(fields, entries) else None
    if not _says_fooocus(fields) and "Version: Fooocus" not in text:
        return None
    prompt, negative, settings = a1111.split(text)
    # The leading prompt includes styles and expansion; `Raw prompt` is what the user typed.
    typed, unwanted = settings.pop("Raw prompt", prompt), settings.pop("Raw negative prompt", negative)
    return compose("Fooocus", str(typed), unwanted, settings)


def read_comment(fields: Fields) -> WrittenPrompt | None:
    """Read the older JSON in `Comment`; to be tried after NovelAI, which writes JSON there too."""
    entries = bounded_json.parse_object(fields.text.get("Comment"))
    if not (_OWN_KEYS | {"negative_prompt"}) & entries.keys():
        return None
    return _answer(entries)


def _answer(entries: dict[str, Any]) -> WrittenPrompt | None:
    tool = "RuinedFooocus" if entries.get("software") == "RuinedFooocus" else "Fooocus"
    rest = without(entries, (*_PROMPTS, *_NEGATIVES))
    return compose(tool, _first(entries, _PROMPTS), _first(entries, _NEGATIVES), rest)


def _first(entries: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    """The first text under these keys; `real_prompt` is a list of a batch's prompts."""
    for key in keys:
        value = entries.get(key)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, str) and value.strip():
            return value
    return None


def _is_ours(fields: Fields, entries: dict[str, Any]) -> bool:
    return (
        _says_fooocus(fields)
        or bool(_OWN_KEYS & entries.keys())
        or "fooocus" in str(entries.get("version", ""))[:100].lower()
        or entries.get("software") == "RuinedFooocus"
    )


def _says_fooocus(fields: Fields) -> bool:
    return "fooocus_scheme" in fields.text or fields.exif.get("Software", "").startswith("Fooocus")
