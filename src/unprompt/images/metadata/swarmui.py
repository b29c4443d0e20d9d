"""SwarmUI, formerly StableSwarmUI: JSON with `sui_image_params`.

PNG text `parameters`, other formats EXIF `UserComment` (UTF-16); releases before 0.5.8 used the EXIF tag `Model`.
Source: docs/Image Metadata Format.md of mcmonkeyprojects/SwarmUI.
"""

from __future__ import annotations

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt in `sui_image_params`."""
    for text in (fields.text.get("parameters"), fields.exif.get("UserComment"), fields.exif.get("Model")):
        if not text or "sui_image_params" not in text:
            continue
        parameters = bounded_json.parse_object(text).get("sui_image_params")
        if isinstance(parameters, dict):
            rest = without(parameters, ("prompt", "negativeprompt"))
            return compose("SwarmUI", parameters.get("prompt"), parameters.get("negativeprompt"), rest)
    return None
