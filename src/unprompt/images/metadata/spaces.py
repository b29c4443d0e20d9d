"""Spaces of Hugging Face, and scripts around diffusers: one JSON object with the arguments of the pipeline.

PNG text `parameters`, EXIF `UserComment`, or any other text: prompt, negative_prompt, guidance_scale,
num_inference_steps, seed, and in the Animagine family resolution, sampler, Model, `Model hash`, use_upscaler. Scripts
in JavaScript write negativePrompt, and some put all of it one level down (`meta`, `params`).
Source: files of these spaces, as described in packages/core/src/parsers/hf-space.ts of enslo/sd-metadata.
"""

from __future__ import annotations

from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.infotext_resources import resources_of
from unprompt.prediction import WrittenPrompt

_PROMPTS = ("prompt", "Prompt", "positive_prompt", "positivePrompt")
_NEGATIVES = ("negative_prompt", "Negative prompt", "negative prompt", "negativePrompt")
_MARKS = frozenset({"guidance_scale", "num_inference_steps", "use_upscaler", "resolution"})
_OTHERS = frozenset(
    {
        "seed", "steps", "width", "height", "sampler", "scheduler", "model", "Model", "cfg_scale", "cfg", "cfgScale",
        "guidanceScale", "numInferenceSteps",
    }
)  # fmt: skip
_UPSCALER = "use_upscaler"


def read(fields: Fields) -> WrittenPrompt | None:
    """Read a JSON object with a prompt and the settings of a generator."""
    first = (fields.text.get("parameters", ""), fields.exif.get("UserComment", ""), fields.text.get("Comment", ""))
    for text in dict.fromkeys((*first, *fields.text.values(), *fields.exif.values(), *fields.xmp.values())):
        if "rompt" not in text or not text.lstrip().startswith("{"):
            continue
        whole = bounded_json.parse_object(text)
        for entries in (whole, *(value for value in whole.values() if isinstance(value, dict))):
            if (prompt := _prompt(entries)) is not None:
                return _answer(prompt, entries)
    return None


def _prompt(entries: dict[str, Any]) -> str | None:
    """The prompt beside the settings of a generator."""
    stated = _MARKS & entries.keys() or len(_OTHERS & entries.keys()) >= 2
    return next((entries[key] for key in _PROMPTS if isinstance(entries.get(key), str)), None) if stated else None


def _answer(prompt: str, entries: dict[str, Any]) -> WrittenPrompt | None:
    negative = next((entries[key] for key in _NEGATIVES if isinstance(entries.get(key), str)), None)
    upscaler = entries.get(_UPSCALER)
    settings = without(entries, (*_PROMPTS, *_NEGATIVES))
    if isinstance(upscaler, dict):
        settings = without(settings, (_UPSCALER,)) | upscaler
    tool = "Hugging Face Space" if _MARKS & entries.keys() else "unknown"
    return compose(tool, prompt, negative, settings, resources=resources_of(entries))
