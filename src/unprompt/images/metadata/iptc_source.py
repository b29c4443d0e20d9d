"""What IPTC's properties in XMP say of a generated picture: that it is one, the system, and the prompt.

Source: IPTC Photo Metadata Standard 2025.1 (AIPromptInformation, AISystemUsed, DigitalSourceType). Google's services
and Midjourney write the last of these, in XMP.
"""

from __future__ import annotations

from unprompt.images.metadata import makers
from unprompt.images.metadata.composing import compose, compose_wordless
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

TOOL = "IPTC"
"""The tool's name where no maker is known by name."""

_SETTINGS = ("AISystemUsed", "AISystemVersionUsed", "AIPromptWriterName", "Credit", "CreatorTool")


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt of IPTC's own property, or else that the picture is a generated one."""
    source = makers.last_word(fields.xmp.get("DigitalSourceType", ""))
    prompt = fields.xmp.get("AIPromptInformation", "")
    if not prompt and not makers.is_generated(source):
        return None
    settings = {name: value for name in _SETTINGS if (value := _value(fields, name))}
    tool = makers.name_of(settings.values()) or TOOL
    if source:
        settings["DigitalSourceType"] = source
    return compose(tool, prompt, None, settings) or compose_wordless(
        tool, settings, note="no prompt is written; XMP calls the picture a generated one"
    )


def _value(fields: Fields, name: str) -> str:
    return fields.xmp.get(name) or fields.iptc.get(name, "")
