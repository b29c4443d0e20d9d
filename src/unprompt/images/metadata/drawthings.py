"""Draw Things: XMP `exif:UserComment` with JSON (`c` the prompt, `uc` the negative prompt), `CreatorTool` Draw Things.

If the JSON is missing, `dc:description` holds the prompt, a line with a leading dash (the negative prompt) and a line
of settings like AUTOMATIC1111's. Source: files of the app, as described in sd-prompt-reader and dtm.
"""

from __future__ import annotations

from unprompt.images.metadata import a1111, bounded_json
from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

_TOOL = "Draw Things"


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt from XMP, or from an EXIF `UserComment` with the same JSON."""
    for text in (fields.xmp.get("UserComment"), fields.exif.get("UserComment")):
        entries = bounded_json.parse_object(text)
        if isinstance(entries.get("c"), str) and ("uc" in entries or fields.xmp.get("CreatorTool") == _TOOL):
            return compose(_TOOL, entries["c"], entries.get("uc"), without(entries, ("c", "uc")))
    description = fields.xmp.get("description", "")
    if fields.xmp.get("CreatorTool") != _TOOL or len(description) > LONGEST_PROMPT:
        return None
    text, _, settings = a1111.split(description)
    prompt, _, negative = text.partition("\n-")
    return compose(_TOOL, prompt, negative, settings)
