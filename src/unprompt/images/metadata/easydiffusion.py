"""Easy Diffusion (cmdr2's Stable Diffusion UI).

PNG: one text chunk per setting; JPEG and WebP: the same entries as JSON in EXIF `UserComment`. The keys are the
program's internal ones (`negative_prompt`) or those of its interface (`Negative Prompt`).
Source: ui/easydiffusion/utils/save_utils.py of easydiffusion, sdkit/utils/file_utils.py of sdkit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, number, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.tags import decimal
from unprompt.prediction import Resource, WrittenPrompt

_TOOL = "Easy Diffusion"
_ITEM_LIMIT = 100
_TEXT_LIMIT = 10_000
_MODELS = (
    (("use_stable_diffusion_model", "Stable Diffusion model"), (), "checkpoint"),
    (("use_vae_model", "VAE model"), (), "vae"),
    (("use_lora_model", "LoRA model"), ("lora_alpha", "LoRA Strength"), "lora"),
    (
        ("use_hypernetwork_model", "Hypernetwork model"),
        ("hypernetwork_strength", "Hypernetwork Strength"),
        "hypernetwork",
    ),
    (("use_embeddings_model", "Embedding models"), (), "embedding"),
    (("use_controlnet_model", "ControlNet model"), (), "controlnet"),
    (("use_upscale", "Use Upscaling"), (), "upscaler"),
)
_SPELLINGS = (
    ("prompt", "negative_prompt", ("use_stable_diffusion_model", "num_inference_steps", "sampler_name")),
    ("Prompt", "Negative Prompt", ("Stable Diffusion model", "Guidance Scale")),
)
LABELS = frozenset(
    {
        "Prompt", "Negative Prompt", "Seed", "Stable Diffusion model", "Clip Skip", "ControlNet model",
        "ControlNet Filter", "VAE model", "Sampler", "Width", "Height", "Steps", "Guidance Scale", "Prompt Strength",
        "LoRA model", "LoRA Strength", "Hypernetwork model", "Hypernetwork Strength", "Embedding models",
        "Seamless Tiling", "Use Face Correction", "Use Upscaling", "Upscale By", "Latent Upscaler Steps",
    }
)  # fmt: skip
"""The names of entries as its interface shows them."""


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt from the text chunks or from `UserComment`."""
    comment = fields.exif.get("UserComment", "")
    may_be_ours = any(mark in comment for _, _, marks in _SPELLINGS for mark in marks)
    return answer_of(fields.text) or (answer_of(bounded_json.parse_object(comment)) if may_be_ours else None)


def answer_of(entries: Mapping[str, Any]) -> WrittenPrompt | None:
    """The prompt among entries in either spelling; None if they are another tool's."""
    for prompt, negative, marks in _SPELLINGS:
        if prompt in entries and any(mark in entries for mark in marks):
            settings = {key: _value(value) for key, value in without(entries, (prompt, negative)).items()}
            resources = _resources(entries)
            return compose(_TOOL, entries[prompt], _value(entries.get(negative)), settings, resources=resources)
    return None


def _resources(entries: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield the models of either spelling; of several LoRAs and their strengths there are lists."""
    for keys, weight_keys, kind in _MODELS:
        names = _listed(next((entries[key] for key in keys if key in entries), None))
        weights = _listed(next((entries[key] for key in weight_keys if key in entries), None))
        for name, weight in zip_longest(names, weights[: len(names)]):
            yield Resource(kind, name, decimal(weight))


def _listed(value: Any) -> list[str]:
    """The names in a value: one, a list, or a list as Python prints it or joined by commas."""
    if isinstance(value, list):
        return [str(item) for item in value[:_ITEM_LIMIT]]
    text = str(value or "")[:_TEXT_LIMIT].strip(" []")
    return [] if text in ("", "None") else [part.strip(" '\"") for part in text.split(",", _ITEM_LIMIT)[:_ITEM_LIMIT]]


def _value(value: Any) -> Any:
    """A PNG holds every setting as Python prints it."""
    if not isinstance(value, str):
        return value
    return {"None": None, "True": True, "False": False}.get(value, number(value))
