"""Fooocus and its forks.

Today: PNG text `parameters` with `fooocus_scheme` ("fooocus": JSON, "a1111": AUTOMATIC1111's text); JPEG and WebP: EXIF
`UserComment` and `MakerNote` (the scheme) in the first directory, `Software` "Fooocus v2...". RuinedFooocus writes JSON
with `software`. Fooocus-MRE wrote JSON into `Comment` (a JPEG's comment segment).
Source: modules/meta_parser.py of lllyasviel/Fooocus; sd-prompt-reader for Fooocus-MRE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from unprompt.images.metadata import bounded_json, infotext
from unprompt.images.metadata.composing import compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.infotext_resources import resources_of
from unprompt.images.metadata.tags import decimal
from unprompt.prediction import Resource, WrittenPrompt

_PROMPTS = ("prompt", "Prompt", "real_prompt")
_NEGATIVES = ("negative_prompt", "Negative Prompt", "Negative", "real_negative_prompt")
_MODELS = (
    ("base_model", "checkpoint", "base_model_hash"),
    ("base_model_name", "checkpoint", "base_model_hash"),
    ("Base Model", "checkpoint", ""),
    ("refiner_model", "checkpoint", "refiner_model_hash"),
    ("Refiner Model", "checkpoint", ""),
    ("vae", "vae", ""),
    ("VAE", "vae", ""),
)
_LORA_KEY = re.compile(r"lora_combined_\d{1,3}|LoRA \d{1,3}")
_LORA_LIMIT = 100
_OWN_KEYS = frozenset({"base_model", "base_model_name", "performance", "Performance", "full_prompt", "real_prompt"})


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt under `parameters` or in `UserComment`, in either scheme."""
    text = fields.text.get("parameters") or fields.exif.get("UserComment")
    if not text or len(text) > infotext.LONGEST_INFOTEXT:
        return None
    entries = bounded_json.parse_object(text)
    if entries:
        return _answer(entries) if _is_ours(fields, entries) else None
    if not _says_fooocus(fields) and "Version: Fooocus" not in text:
        return None
    parts = infotext.parse(text)
    settings = dict(parts.settings)
    # The leading prompt includes styles and expansion; `Raw prompt` is what the user typed.
    typed, unwanted = settings.pop("Raw prompt", parts.prompt), settings.pop("Raw negative prompt", parts.negative)
    resources = chain(resources_of(settings), _loras(settings))
    return compose("Fooocus", str(typed), unwanted, settings, resources=resources)


def read_comment(fields: Fields) -> WrittenPrompt | None:
    """Read the older JSON in `Comment`; to be tried after NovelAI, which writes JSON there too."""
    entries = bounded_json.parse_object(fields.text.get("Comment"))
    if not (_OWN_KEYS | {"negative_prompt"}) & entries.keys():
        return None
    return _answer(entries)


def _answer(entries: dict[str, Any]) -> WrittenPrompt | None:
    tool = "RuinedFooocus" if entries.get("software") == "RuinedFooocus" else "Fooocus"
    rest = without(entries, (*_PROMPTS, *_NEGATIVES))
    resources = _resources(entries)
    return compose(tool, _first(entries, _PROMPTS), _first(entries, _NEGATIVES), rest, resources=resources)


def _resources(entries: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield the base model, the refiner, the VAE and the LoRAs."""
    for name, kind, digest in _MODELS:
        value = entries.get(name)
        if isinstance(value, str) and value not in ("", "None", "Default (model)"):
            yield Resource(kind, value, hash=str(entries.get(digest) or "") or None)
    yield from _loras(entries)


def _loras(entries: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield LoRAs from a list (`["name", 0.5, "hash"]`, or objects), or from `lora_combined_1` = `name : 0.5`."""
    listed = entries.get("loras")
    for lora in listed[:_LORA_LIMIT] if isinstance(listed, list) else ():
        if isinstance(lora, list) and len(lora) >= 2:
            yield Resource("lora", str(lora[0]), decimal(lora[1]), str(lora[2]) if len(lora) > 2 else None)
        elif isinstance(lora, dict):
            yield Resource("lora", str(lora.get("name") or ""), decimal(lora.get("weight")))
    for key, value in islice(entries.items(), 10 * _LORA_LIMIT):
        if _LORA_KEY.fullmatch(key) and isinstance(value, str):
            name, _, weight = value.rpartition(" : ")
            yield Resource("lora", name or value, decimal(weight) if name else None)


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
