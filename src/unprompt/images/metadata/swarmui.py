"""SwarmUI, formerly StableSwarmUI: JSON with `sui_image_params`.

PNG text `parameters`, other formats EXIF `UserComment` (UTF-16); releases before 0.5.8 used the EXIF tag `Model`. The
prompt has SwarmUI's own marks, which `swarm_syntax.py` knows.
Source: docs/Image Metadata Format.md of mcmonkeyprojects/SwarmUI.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unprompt.images.metadata import bounded_json, swarm_syntax
from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, compose_wordless, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.tags import decimal
from unprompt.prediction import Resource, WrittenPrompt, WrittenText

_TOOL = "SwarmUI"
_ITEM_LIMIT = 100
_MODELS = (
    ("model", "checkpoint"),
    ("refinermodel", "checkpoint"),
    ("segmentmodel", "checkpoint"),
    ("videomodel", "checkpoint"),
    ("vae", "vae"),
    ("controlnetmodel", "controlnet"),
)
_KINDS = dict(_MODELS) | {"loras": "lora", "used_loras": "lora", "used_embeddings": "embedding"}


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt in `sui_image_params`."""
    comments = (fields.text.get("Comment"), fields.exif.get("UserComment"), fields.exif.get("Model"))
    for text in (fields.text.get("parameters"), *comments):
        if not text or "sui_image_params" not in text:
            continue
        entries = bounded_json.parse_object(text)
        parameters = entries.get("sui_image_params")
        if isinstance(parameters, dict):
            return _answer(parameters, list(_resources(entries, parameters)))
    return None


def _answer(parameters: dict[str, Any], resources: list[Resource]) -> WrittenPrompt:
    raw = _text(parameters.get("prompt"))
    prompt, sections = _words(raw)
    negative, _ = _words(_text(parameters.get("negativeprompt")))
    rest = without(parameters, ("prompt", "negativeprompt"))
    texts = [WrittenText(prompt, "positive"), WrittenText(negative, "negative"), *sections] if sections else []
    answer = compose(_TOOL, prompt, negative, rest, raw=raw, texts=texts, resources=resources)
    return answer or compose_wordless(_TOOL, rest, resources=resources)


def _words(text: str) -> tuple[str, list[WrittenText]]:
    """The words that describe the picture, and each section's own if there are several."""
    if not swarm_syntax.is_in(text):
        return text, []
    sections = swarm_syntax.sections_of(text)
    texts = [WrittenText(section.text, section.role, section.kind) for section in sections if section.kind != "clear"]
    return swarm_syntax.main_text(sections), texts if len(texts) > 1 else []


def _resources(entries: dict[str, Any], parameters: dict[str, Any]) -> Iterator[Resource]:
    """Yield the models by name, the LoRAs with their weights, and what `sui_models` says of hashes."""
    for key, kind in _MODELS:
        yield Resource(kind, _text(parameters.get(key)))
    names, weights = _listed(parameters.get("loras")), _listed(parameters.get("loraweights"))
    for index, name in enumerate(names):
        yield Resource("lora", str(name), decimal(weights[index]) if index < len(weights) else None)
    models = entries.get("sui_models")
    for model in models[:_ITEM_LIMIT] if isinstance(models, list) else ():
        if isinstance(model, dict):
            kind = _KINDS.get(_text(model.get("param")), "model")
            yield Resource(kind, _text(model.get("name")), hash=_text(model.get("hash")) or None)


def _listed(value: object) -> list[Any]:
    """A list, or a text that lists by commas."""
    items = value.split(",", _ITEM_LIMIT) if isinstance(value, str) else value
    return [item for item in items[:_ITEM_LIMIT] if item] if isinstance(items, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST_PROMPT else ""
