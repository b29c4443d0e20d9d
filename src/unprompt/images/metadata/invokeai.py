"""InvokeAI, three generations: `invokeai_metadata` (3 and later), `sd-metadata` (2), `Dream` (1, a command line).

From 3 on, SDXL has a style prompt beside the prompt. Source: invokeai/app/services/image_files and
invokeai/app/invocations/metadata.py of invoke-ai/InvokeAI for 3; sd-prompt-reader for 1 and 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, number, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.tags import decimal
from unprompt.prediction import Resource, Role, WrittenPrompt, WrittenText

_TOOL = "InvokeAI"
_ITEM_LIMIT = 100
_STYLES = ("positive_style_prompt", "negative_style_prompt")
_REGION_TEXTS: tuple[tuple[str, Role], ...] = (("positivePrompt", "region"), ("negativePrompt", "negative"))
_MODELS = (
    ("model", "checkpoint"),
    ("refiner_model", "checkpoint"),
    ("vae", "vae"),
    ("t5_encoder", "text encoder"),
    ("clip_embed_model", "text encoder"),
    ("clip_l_embed_model", "text encoder"),
    ("clip_g_embed_model", "text encoder"),
    ("qwen3_encoder", "text encoder"),
)
_MODEL_LISTS = (
    ("loras", ("model", "lora"), "weight", "lora"),
    ("controlnets", ("control_model",), "control_weight", "controlnet"),
    ("t2iAdapters", ("t2i_adapter_model",), "weight", "controlnet"),
    ("ipAdapters", ("ip_adapter_model",), "weight", "model"),
)
"""Lists of models: the key of the list, that of the model in an item, that of its weight, and the kind."""

_UNWANTED = re.compile(r"\[([^\[\]]*)\]")  # the second generation writes negative words in brackets inside the prompt
_SWITCHES = {"s": "steps", "S": "seed", "W": "width", "H": "height", "C": "cfg_scale", "A": "sampler"}
_SWITCH = re.compile(r"(?:^|\s)-([sSWHCA])\s{0,4}([^\s-]\S{0,60})")


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt, from the newest generation's entry that holds one."""
    return (
        _third(bounded_json.parse_object(fields.text.get("invokeai_metadata")))
        or _second(bounded_json.parse_object(fields.text.get("sd-metadata")))
        or _first(fields.text.get("Dream") or fields.text.get("dream") or "")
    )


def _third(entries: dict[str, Any]) -> WrittenPrompt | None:
    settings = without(entries, ("positive_prompt", "negative_prompt", *_STYLES))
    model = entries.get("model")
    if isinstance(model, dict):
        settings["model"] = model.get("name") or model.get("model_name")
    style, unwanted_style = (_style(entries, side) for side in ("positive", "negative"))
    prompt = _joined(entries.get("positive_prompt"), style)
    negative = _joined(entries.get("negative_prompt"), unwanted_style)
    others = [*([WrittenText(style, "style", "positive_style_prompt")] if style else ()), *_regions(entries)]
    texts = (WrittenText(prompt, "positive"), WrittenText(negative, "negative"), *others) if others else ()
    return compose(_TOOL, prompt, negative, settings, texts=texts, resources=_resources(entries))


def _style(entries: dict[str, Any], side: str) -> str:
    """The style prompt of SDXL; empty if it repeats the prompt."""
    style = entries.get(f"{side}_style_prompt")
    return style if isinstance(style, str) and style.strip() and style != entries.get(f"{side}_prompt") else ""


def _joined(prompt: object, style: str) -> str:
    texts = (text.strip(" ,\n") for text in (prompt, style) if isinstance(text, str))
    return ", ".join(filter(None, texts))


def _regions(entries: dict[str, Any]) -> Iterator[WrittenText]:
    """Yield the prompts of the canvas's regions."""
    canvas = entries.get("canvas_v2_metadata")
    regions = canvas.get("regionalGuidance") if isinstance(canvas, dict) else None
    for region in regions[:_ITEM_LIMIT] if isinstance(regions, list) else ():
        if isinstance(region, dict):
            for key, role in _REGION_TEXTS:
                if isinstance(text := region.get(key), str):
                    yield WrittenText(text, role, str(region.get("name") or "regionalGuidance"))


def _resources(entries: dict[str, Any]) -> Iterator[Resource]:
    """Yield the models: objects with a name and a hash, in lists beside a weight."""
    for key, kind in _MODELS:
        yield _resource(kind, entries.get(key), None)
    for key, inner, weight_key, kind in _MODEL_LISTS:
        items = entries.get(key)
        for item in items[:_ITEM_LIMIT] if isinstance(items, list) else ():
            if isinstance(item, dict):
                model = next((item[name] for name in inner if name in item), None)
                yield _resource(kind, model, decimal(item.get(weight_key)))


def _resource(kind: str, model: object, weight: float | None) -> Resource:
    if isinstance(model, str):
        return Resource(kind, model, weight)
    found = model if isinstance(model, dict) else {}
    return Resource(kind, str(found.get("name") or found.get("model_name") or ""), weight, str(found.get("hash") or ""))


def _second(entries: dict[str, Any]) -> WrittenPrompt | None:
    image = entries.get("image")
    if not isinstance(image, dict):
        return None
    prompt = image.get("prompt")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
        prompt = prompt[0].get("prompt")
    settings = without(image, ("prompt",)) | {"model": entries.get("model_weights")}
    return _bracketed(prompt, settings)


def _first(command: str) -> WrittenPrompt | None:
    """Parse `"a cat [blurry]" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms`; a space after the letters is optional."""
    if len(command) > LONGEST_PROMPT:
        return None
    command = command.strip()
    quoted, end = command.startswith('"'), command.rfind('"')
    if quoted and end > 0:
        prompt, switches = command[1:end], command[end + 1 :]
    else:
        start = re.search(r"\s-[sSWHCA]\s{0,4}[\d\w]", command)
        prompt, switches = (command[: start.start()], command[start.start() :]) if start else (command, "")
    settings = {_SWITCHES[letter]: number(value) for letter, value in _SWITCH.findall(switches)}
    return _bracketed(prompt, settings)


def _bracketed(prompt: object, settings: dict[str, Any]) -> WrittenPrompt | None:
    if not isinstance(prompt, str):
        return None
    return compose(_TOOL, _UNWANTED.sub(" ", prompt), ", ".join(_UNWANTED.findall(prompt)), settings)
