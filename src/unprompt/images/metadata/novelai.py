"""NovelAI: `Software` = NovelAI, `Description` (the prompt) and `Comment` (JSON with prompt, `uc` and settings).

They are PNG texts, JSON in a WebP's EXIF `UserComment`, or hidden in the alpha channel (see `stealth`). From version 4
on, `v4_prompt` holds a caption for the scene and one for each character. Words under a negative weight, `-1::hat::`,
are what the picture was to lack.
Source: NovelAI/novelai-image-metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.cleaning import novelai_parts
from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, without
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import Resource, Role, WrittenPrompt, WrittenText

_PEOPLE_LIMIT = 40
_HASH = re.compile(r"[0-9A-F]{8,64}")


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt from the text chunks or from `UserComment`."""
    comment = fields.exif.get("UserComment", "")
    may_be_ours = "NovelAI" in comment or '"uc"' in comment
    return _answer(fields.text) or (_answer(bounded_json.parse_object(comment)) if may_be_ours else None)


def _answer(entries: Mapping[str, Any]) -> WrittenPrompt | None:
    comment = entries.get("Comment")
    if isinstance(comment, str):
        comment = bounded_json.parse_object(comment)
    if not isinstance(comment, dict):
        comment = {}
    if not str(entries.get("Software", "")).startswith("NovelAI") and not {"uc", "scale"} <= comment.keys():
        return None
    scene, people = _captions(comment.get("v4_prompt"))
    unwanted_scene, unwanted_people = _captions(comment.get("v4_negative_prompt"))
    prompt = _joined(scene, people) or comment.get("prompt") or entries.get("Description")
    negative = _joined(unwanted_scene, unwanted_people) or comment.get("uc")
    settings = without(comment, ("prompt", "uc", "signed_hash")) | {"model": entries.get("Source")}
    others = [*_characters(people, "region"), *_characters(unwanted_people, "negative"), *_negated(prompt)]
    texts = (WrittenText(str(prompt), "positive"), WrittenText(str(negative or ""), "negative"), *others)
    return compose("NovelAI", prompt, negative, settings, texts=texts if others else (), resources=_resources(entries))


def _captions(prompt: object) -> tuple[str, list[str]]:
    """Version 4's captions of the scene and of each character; empty for earlier versions."""
    caption = prompt.get("caption") if isinstance(prompt, dict) else None
    if not isinstance(caption, dict):
        return "", []
    people = caption.get("char_captions")
    people = people[:_PEOPLE_LIMIT] if isinstance(people, list) else []
    captions = [person.get("char_caption") for person in people if isinstance(person, dict)]
    return _text(caption.get("base_caption")), [_text(caption) for caption in captions]


def _text(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST_PROMPT else ""


def _joined(scene: str, people: list[str]) -> str:
    return ", ".join(_closed(text) for text in (scene.strip(" ,\n"), *(text.strip(" ,\n") for text in people)) if text)


def _closed(text: str) -> str:
    """Close a weight that is open at the text's end, so that it does not reach the next text."""
    return text if novelai_parts(text)[-1][1] == 1 else f"{text}::"


def _characters(people: list[str], role: Role) -> Iterator[WrittenText]:
    for number, text in enumerate(people, 1):
        yield WrittenText(text, role, f"character {number}")


def _negated(prompt: object) -> Iterator[WrittenText]:
    """Yield the words under a negative weight, which the picture was to lack."""
    if isinstance(prompt, str) and len(prompt) <= LONGEST_PROMPT:
        yield from (WrittenText(text, "negative", "", -weight) for text, weight in novelai_parts(prompt) if weight < 0)


def _resources(entries: Mapping[str, Any]) -> Iterator[Resource]:
    if isinstance(source := entries.get("Source"), str):
        name, _, digest = source.rpartition(" ")
        is_hashed = name and _HASH.fullmatch(digest)
        yield Resource("checkpoint", name, hash=digest) if is_hashed else Resource("checkpoint", source)
