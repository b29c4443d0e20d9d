"""NovelAI: `Software` = NovelAI, `Description` (the prompt) and `Comment` (JSON with prompt, `uc` and settings).

They are PNG texts, JSON in a WebP's EXIF `UserComment`, or hidden in the alpha channel (see `stealth`). From version 4
on, `v4_prompt` holds a caption for the scene and one for each character.
Source: NovelAI/novelai-image-metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt from the text chunks or from `UserComment`."""
    return _answer(fields.text) or _answer(bounded_json.parse_object(fields.exif.get("UserComment")))


def _answer(entries: Mapping[str, Any]) -> WrittenPrompt | None:
    comment = entries.get("Comment")
    if isinstance(comment, str):
        comment = bounded_json.parse_object(comment)
    if not isinstance(comment, dict):
        comment = {}
    if not str(entries.get("Software", "")).startswith("NovelAI") and not {"uc", "scale"} <= comment.keys():
        return None
    prompt = _captions(comment.get("v4_prompt")) or comment.get("prompt") or entries.get("Description")
    negative = _captions(comment.get("v4_negative_prompt")) or comment.get("uc")
    settings = without(comment, ("prompt", "uc", "signed_hash")) | {"model": entries.get("Source")}
    return compose("NovelAI", prompt, negative, settings)


def _captions(prompt: object) -> str:
    """Join version 4's captions of scene and characters; empty for earlier versions."""
    caption = prompt.get("caption") if isinstance(prompt, dict) else None
    if not isinstance(caption, dict):
        return ""
    people = caption.get("char_captions")
    texts = [caption.get("base_caption")]
    if isinstance(people, list):
        texts += [person.get("char_caption") for person in people if isinstance(person, dict)]
    return ", ".join(text.strip(" ,") for text in texts if isinstance(text, str) and text.strip(" ,"))
