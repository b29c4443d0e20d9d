"""Pictures of small scripts: PNG texts `prompt`, `seed` and others, each a plain text, not a graph.

Their names are those of diffusers' arguments, some with `sd:` before them. Source: many scripts; no program stands out.
"""

from __future__ import annotations

from unprompt.images.metadata.composing import compose, number
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import Resource, WrittenPrompt

_NEGATIVES = ("negative_prompt", "negativeprompt", "negative")
_SETTINGS = frozenset(
    {
        "seed", "steps", "num_inference_steps", "guidance_scale", "guidance", "cfg", "cfg_scale", "sampler",
        "sampler_name", "scheduler", "model", "model_id", "width", "height", "size", "strength", "version", "generator",
        "eta", "clip_skip", "lora", "vae",
    }
)  # fmt: skip
_MODELS = (("model", "checkpoint"), ("model_id", "checkpoint"), ("lora", "lora"), ("vae", "vae"))
_CHUNK_LIMIT = 200
_GRAPH_MARKS = ('"class_type"', '"nodes"', '"inputs"')


def read(fields: Fields) -> WrittenPrompt | None:
    """Read a plain text `prompt`, with the settings beside it; JSON only if there are such settings."""
    entries = {_name(key): value for key, value in list(fields.text.items())[:_CHUNK_LIMIT]}
    prompt = entries.get("prompt", "").strip()
    settings = {key: number(value.strip()) for key, value in entries.items() if key in _SETTINGS}
    if not prompt or any(mark in prompt for mark in _GRAPH_MARKS) or (prompt[0] in "{[" and not settings):
        return None
    negative = next((entries[key] for key in _NEGATIVES if key in entries), None)
    models = [Resource(kind, entries.get(key, "")) for key, kind in _MODELS]
    return compose("unknown", prompt, negative, settings, resources=models)


def _name(key: str) -> str:
    """A text's keyword as diffusers spells an argument."""
    return key.lower().removeprefix("sd:").removeprefix("sd-").strip().replace(" ", "_")
