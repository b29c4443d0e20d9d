"""MFLUX: EXIF `UserComment` with JSON (`mflux_version`, prompt, settings); also XMP, `CreatorTool` MFLUX.

Source: src/mflux/utils/generated_image.py and metadata_builder.py of filipstrand/mflux.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, number, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.tags import decimal
from unprompt.prediction import Resource, WrittenPrompt

_TOOL = "MFLUX"
_LORA_LIMIT = 100
_XMP_SETTINGS = ("seed", "steps", "guidance", "model", "loras", "generationTimeSeconds")


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt in `UserComment`, or else in XMP."""
    comment = fields.exif.get("UserComment", "")
    entries = bounded_json.parse_object(comment) if "mflux_version" in comment else {}
    if "mflux_version" in entries:
        rest = without(entries, ("prompt", "negative_prompt"))
        prompt, negative = entries.get("prompt"), entries.get("negative_prompt")
        return compose(_TOOL, prompt, negative, rest, resources=_resources(entries))
    if not fields.xmp.get("CreatorTool", "").startswith(_TOOL):
        return None
    settings = {key: number(fields.xmp[key]) for key in _XMP_SETTINGS if key in fields.xmp}
    return compose(_TOOL, fields.xmp.get("description"), None, settings, resources=_resources(settings))


def _resources(entries: dict[str, Any]) -> Iterator[Resource]:
    """Yield the model, and the LoRAs: paths and scales in two lists, or `name:1.0, ..` in XMP."""
    yield Resource("checkpoint", str(entries.get("model") or ""))
    paths, scales = entries.get("lora_paths"), entries.get("lora_scales")
    scales = scales if isinstance(scales, list) else []
    for index, path in enumerate(paths[:_LORA_LIMIT] if isinstance(paths, list) else ()):
        yield Resource("lora", str(path), decimal(scales[index]) if index < len(scales) else None)
    for entry in str(entries.get("loras") or "").split(", ", _LORA_LIMIT)[:_LORA_LIMIT]:
        name, _, scale = entry.rpartition(":")
        yield Resource("lora", name, decimal(scale))
