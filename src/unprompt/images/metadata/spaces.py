"""Spaces of Hugging Face, and scripts around diffusers: one JSON object with the arguments of the pipeline.

PNG text `parameters`, or EXIF `UserComment`: prompt, negative_prompt, guidance_scale, num_inference_steps, seed, and in
the Animagine family resolution, sampler, Model, `Model hash`, use_upscaler.
Source: files of these spaces, as described in packages/core/src/parsers/hf-space.ts of enslo/sd-metadata.
"""

from __future__ import annotations

from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.infotext_resources import resources_of
from unprompt.prediction import WrittenPrompt

_PROMPTS = ("prompt", "Prompt", "positive_prompt")
_NEGATIVES = ("negative_prompt", "Negative prompt", "negative prompt")
_MARKS = frozenset({"guidance_scale", "num_inference_steps", "use_upscaler", "resolution"})
_OTHERS = frozenset({"seed", "steps", "width", "height", "sampler", "scheduler", "model", "Model", "cfg_scale", "cfg"})
_UPSCALER = "use_upscaler"


def read(fields: Fields) -> WrittenPrompt | None:
    """Read a JSON object with a prompt and the settings of a generator."""
    places = (fields.text.get("parameters"), fields.exif.get("UserComment"), fields.text.get("Comment"))
    for text in places:
        if not text or "rompt" not in text or not text.lstrip().startswith("{"):
            continue
        entries = bounded_json.parse_object(text)
        prompt = next((entries[key] for key in _PROMPTS if isinstance(entries.get(key), str)), None)
        if prompt is not None and (_MARKS & entries.keys() or len(_OTHERS & entries.keys()) >= 2):
            return _answer(prompt, entries)
    return None


def _answer(prompt: str, entries: dict[str, Any]) -> WrittenPrompt | None:
    negative = next((entries[key] for key in _NEGATIVES if isinstance(entries.get(key), str)), None)
    upscaler = entries.get(_UPSCALER)
    settings = without(entries, (*_PROMPTS, *_NEGATIVES))
    if isinstance(upscaler, dict):
        settings = without(settings, (_UPSCALER,)) | upscaler
    tool = "Hugging Face Space" if _MARKS & entries.keys() else "unknown"
    return compose(tool, prompt, negative, settings, resources=resources_of(entries))
