"""Civitai's generator, where it writes JSON: a ComfyUI graph with `extraMetadata`, as after an upscaling.

EXIF `UserComment`, or PNG text `prompt`. `extraMetadata` is JSON in a string, with the prompt, the settings and the
steps that followed (`transformations`). What Civitai writes as an infotext is read by `a1111.py`.
Source: files of the site; src/utils/metadata of civitai/civitai.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.infotext_resources import air_kind, civitai_resources
from unprompt.prediction import Resource, WrittenPrompt

_KEY = "extraMetadata"
_ITEM_LIMIT = 100


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt in `extraMetadata`."""
    for text in (fields.exif.get("UserComment"), fields.text.get("prompt"), fields.text.get("Comment")):
        if not text or f'"{_KEY}"' not in text:
            continue
        entries = bounded_json.parse_object(text)
        extra = entries.get(_KEY)
        stated = bounded_json.parse_object(extra) if isinstance(extra, str) else extra
        if isinstance(stated, dict) and isinstance(stated.get("prompt"), str):
            rest = without(stated, ("prompt", "negativePrompt"))
            resources = _resources(entries, stated)
            return compose("Civitai", stated["prompt"], stated.get("negativePrompt"), rest, resources=resources)
    return None


def _resources(entries: dict[str, Any], stated: dict[str, Any]) -> Iterator[Resource]:
    """Yield the models that the JSON lists: with weights, and by Civitai's identifiers."""
    yield from civitai_resources(stated.get("resources"))
    extra = entries.get("extra")
    airs = extra.get("airs") if isinstance(extra, dict) else None
    for air in airs[:_ITEM_LIMIT] if isinstance(airs, list) else ():
        if isinstance(air, str):
            yield Resource(air_kind(air), air)
