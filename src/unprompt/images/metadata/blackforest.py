"""Black Forest Labs' own scripts and API: EXIF `Make` Black Forest Labs, `Model`, `Software` "AI generated;..".

The prompt is in `ImageDescription`, if the user asked for it. Source: src/flux/util.py and the demos of
black-forest-labs/flux.
"""

from __future__ import annotations

from unprompt.images.metadata.composing import compose, compose_wordless
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import Resource, WrittenPrompt

_TOOL = "Black Forest Labs"


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt in `ImageDescription`; without it, the model alone."""
    if not fields.exif.get("Make", "").strip().startswith(_TOOL):
        return None
    settings = {key: fields.exif[key] for key in ("Model", "Software") if key in fields.exif}
    models = [Resource("checkpoint", settings.get("Model", ""))]
    answer = compose(_TOOL, fields.exif.get("ImageDescription"), None, settings, resources=models)
    return answer or compose_wordless(_TOOL, settings, resources=models)
