"""Tensor.Art: PNG text `generation_data`, JSON with `prompt`, `negativePrompt` and models, beside a ComfyUI graph.

The seed of the JSON is -1 where the site chose one: then the graph has it. Source: files of the site, as described in
packages/core/src/parsers/tensorart.ts of enslo/sd-metadata.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.tags import decimal
from unprompt.prediction import Resource, WrittenPrompt

_ITEM_LIMIT = 100
_KINDS = {"LORA": "lora", "LOCON": "lora", "LYCORIS": "lora", "EMBEDDING": "embedding", "CONTROLNET": "controlnet"}


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt in `generation_data`."""
    entries = bounded_json.parse_object(fields.text.get("generation_data"))
    if not entries:
        return None
    settings = without(entries, ("prompt", "negativePrompt"))
    if str(settings.get("seed")) == "-1":
        settings["seed"] = _seed(bounded_json.parse_object(fields.text.get("prompt")))
    prompt, negative = entries.get("prompt"), entries.get("negativePrompt")
    return compose("Tensor.Art", prompt, negative, settings, resources=_resources(entries))


def _seed(graph: dict[str, Any]) -> int | None:
    """The seed of the graph's first sampler."""
    for node in graph.values():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        if isinstance(inputs, dict) and "steps" in inputs and isinstance(inputs.get("seed"), int):
            return int(inputs["seed"])
    return None


def _resources(entries: dict[str, Any]) -> Iterator[Resource]:
    """Yield the base model, the VAE and the list `models`."""
    models = entries.get("models")
    base, vae = entries.get("baseModel"), entries.get("sdVae")
    for model in (base, *(models[:_ITEM_LIMIT] if isinstance(models, list) else ())):
        if isinstance(model, dict):
            kind = "checkpoint" if model is base else _KINDS.get(str(model.get("type")).upper(), "model")
            name = model.get("modelFileName") or model.get("label") or ""
            yield Resource(kind, str(name), decimal(model.get("weight")), str(model.get("hash") or "") or None)
    if isinstance(vae, str) and vae not in ("Automatic", "None"):
        yield Resource("vae", vae)
