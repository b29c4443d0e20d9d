"""Draw Things: XMP `exif:UserComment` with JSON (`c` the prompt, `uc` the negative prompt), `CreatorTool` Draw Things.

If the JSON is missing, `dc:description` holds the prompt, a line with a leading dash (the negative prompt) and a line
of settings like AUTOMATIC1111's. Source: files of the app, as described in sd-prompt-reader and dtm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unprompt.images.metadata import bounded_json, infotext
from unprompt.images.metadata.composing import compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.tags import decimal
from unprompt.prediction import Resource, WrittenPrompt

_TOOL = "Draw Things"
_LORA_LIMIT = 100


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt from XMP, or from an EXIF `UserComment` with the same JSON."""
    says_so = fields.xmp.get("CreatorTool") == _TOOL
    for text in (fields.xmp.get("UserComment"), fields.exif.get("UserComment")):
        entries = bounded_json.parse_object(text) if text and '"c"' in text else {}
        if isinstance(entries.get("c"), str) and ("uc" in entries or says_so):
            rest = without(entries, ("c", "uc"))
            return compose(_TOOL, entries["c"], entries.get("uc"), rest, resources=_resources(entries))
    return _described(fields.xmp.get("description", "")) if says_so else None


def _described(description: str) -> WrittenPrompt | None:
    if len(description) > infotext.LONGEST_INFOTEXT:
        return None
    parts = infotext.parse(description)
    prompt, _, negative = parts.prompt.partition("\n-")
    return compose(_TOOL, prompt, negative, parts.settings, resources=_resources(parts.settings))


def _resources(entries: dict[str, Any]) -> Iterator[Resource]:
    """Yield `model`, `upscaler`, and the list `lora` or `loras`, in the JSON itself or in its newer part `v2`."""
    newer = entries.get("v2")
    for part in (entries, newer if isinstance(newer, dict) else {}):
        for key, kind in (("model", "checkpoint"), ("refinerModel", "checkpoint"), ("upscaler", "upscaler")):
            yield Resource(kind, str(part.get(key) or ""))
        loras = part.get("lora") or part.get("loras")
        for lora in loras[:_LORA_LIMIT] if isinstance(loras, list) else ():
            if isinstance(lora, dict):
                yield Resource("lora", str(lora.get("model") or lora.get("file") or ""), decimal(lora.get("weight")))
