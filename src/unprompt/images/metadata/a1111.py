"""AUTOMATIC1111's web UI and all that write its infotext: Forge, SD.Next, stable-diffusion.cpp, Civitai and others.

PNG text `parameters`; JPEG, WebP and AVIF: EXIF `UserComment`; GIF, JPEG and video: a comment. Editors, sites and forks
move it to EXIF `ImageDescription` and `XPComment`, to XMP and to the IPTC caption, scripts to a PNG text of any name.
`infotext.py` knows the text itself.
Source: modules/images.py of AUTOMATIC1111/stable-diffusion-webui, modules/processing_info.py of vladmandic/sdnext, the
tools' own files for their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from unprompt.images.metadata import bounded_json, infotext
from unprompt.images.metadata.composing import compose, compose_wordless, without
from unprompt.images.metadata.fields import Fields
from unprompt.images.metadata.infotext import Infotext
from unprompt.images.metadata.infotext_resources import resources_of
from unprompt.prediction import Role, WrittenPrompt, WrittenText

_PLACES = (
    ("exif", ("UserComment", "ImageDescription", "XPComment", "XPTitle", "XPSubject")),
    ("text", ("Comment", "comment", "Description", "description", "Parameters", "Title", "title")),
    ("xmp", ("UserComment", "description", "title", "Description", "ImageDescription", "parameters")),
)
"""Where a text counts only if its settings or a negative prompt show that it is an infotext."""

_NO_WORDS = frozenset({"", "unknown", "none", "null", "undefined", "n/a"})
"""Prompts of nodes that could not find the prompt."""

_TEXTS: tuple[tuple[re.Pattern[str], Role], ...] = (
    (re.compile(r"A?Detailer negative(?: prompt)?(?: \w+)?"), "negative"),
    (re.compile(r"A?Detailer prompt(?: \w+)?"), "region"),
    (re.compile(r"(?:Hires|Refiner) negative(?: prompt)?"), "negative"),
    (re.compile(r"(?:Hires|Refiner) prompt"), "refiner"),
)
"""Settings that are prompts of their own."""

_DETAILER_MARKS = re.compile(r"\[(?:SEP|SKIP|PROMPT)\]")

_TOOLS = (
    ("App", re.compile(r"sd\.?\s?next", re.IGNORECASE), "SD.Next"),
    ("Parser", re.compile(""), "SD.Next"),  # releases before the setting App
    ("Pipeline", re.compile(""), "SD.Next"),
    ("Version", re.compile(r"f\d|neo\b|classic\b|re-?forge|.{0,60}forge", re.IGNORECASE), "Forge"),
    ("App", re.compile(r".{0,60}forge", re.IGNORECASE), "Forge"),
    ("Version", re.compile(r"(?:stable-diffusion|sd)\.cpp", re.IGNORECASE), "stable-diffusion.cpp"),
    ("SDCPP", re.compile(""), "stable-diffusion.cpp"),
    ("Version", re.compile("koboldcpp", re.IGNORECASE), "KoboldCpp"),
    ("Version", re.compile("comfyui", re.IGNORECASE), "ComfyUI"),
    ("Version", re.compile("v?\\d"), "AUTOMATIC1111"),
    ("Civitai metadata", re.compile(""), "Civitai"),
    ("Civitai resources", re.compile(""), "Civitai"),
    ("Sampler", re.compile(r"[a-z0-9]+_[a-z0-9_]+"), "ComfyUI"),  # its own spelling: dpmpp_2m
)
"""Settings whose value names the tool. The first that matches counts."""


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the infotext under `parameters`, or wherever else settings or a negative prompt show that there is one."""
    wordless = None
    for text, may_be_bare in _texts(fields):
        answer = _answer(fields, text, may_be_bare)
        if answer is not None and answer.prompt:
            return answer
        wordless = wordless or answer
    return wordless or _postprocessing(fields)


def answer_of(text: str, tool: str = "") -> WrittenPrompt | None:
    """Read an infotext that is not in a picture's fields; None unless it states settings."""
    parts = infotext.parse(text) if infotext.may_be(text) and not _is_json(text) else Infotext("")
    return _composed(tool or _tool(parts.settings), parts) if parts.states_settings else None


def _texts(fields: Fields) -> Iterator[tuple[str, bool]]:
    """Yield the texts to look at; with each, whether it may be a prompt without settings."""
    if text := fields.text.get("parameters"):
        yield text, True
    places: Mapping[str, Mapping[str, str]] = {"exif": fields.exif, "text": fields.text, "xmp": fields.xmp}
    for place, names in _PLACES:
        yield from ((text, False) for name in names if (text := places[place].get(name)) and infotext.may_be(text))
    yield from ((text, False) for text in fields.iptc.values() if infotext.may_be(text))
    for place, names in _PLACES:
        others = (text for name, text in places[place].items() if name not in names and infotext.may_be(text))
        yield from ((text, False) for text in others if text[:1] != "{" and infotext.parse(text).states_settings)


def _answer(fields: Fields, text: str, may_be_bare: bool) -> WrittenPrompt | None:
    if len(text) > infotext.LONGEST_INFOTEXT or _is_json(text):
        return None
    parts = infotext.parse(text)
    if not (may_be_bare or parts.is_proven):
        return None
    added = _postprocessing_settings(fields)
    parts = replace(parts, settings=parts.settings | without(added, parts.settings))
    return _composed(_maker(fields) or _tool(parts.settings), parts)


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{") and bool(bounded_json.parse_object(text))


def _composed(tool: str, parts: Infotext) -> WrittenPrompt | None:
    resources = list(resources_of(parts.settings))
    if parts.settings and parts.prompt.strip().lower() in _NO_WORDS:
        return compose_wordless(tool, parts.settings, resources=resources) if parts.states_settings else None
    others = list(_other_texts(parts.settings))
    texts = (WrittenText(parts.prompt, "positive"), WrittenText(parts.negative or "", "negative"), *others)
    return compose(
        tool, parts.prompt, parts.negative, parts.settings, texts=texts if others else (), resources=resources
    )


def _other_texts(settings: Mapping[str, Any]) -> Iterator[WrittenText]:
    """Yield the prompts of later passes: of faces, of the refiner."""
    for key, value in settings.items():
        role = next((role for pattern, role in _TEXTS if pattern.fullmatch(key)), None)
        if role is not None and isinstance(value, str):
            yield from (WrittenText(text, role, key) for text in _DETAILER_MARKS.split(value))


def _maker(fields: Fields) -> str:
    """The tool that other fields name, or an empty text."""
    if "parameters-json" in fields.text or "smproj" in fields.text:
        return "Stability Matrix"
    # Some nodes of ComfyUI write this text for sites that read no other, beside their graph.
    return "ComfyUI" if '"class_type"' in fields.text.get("prompt", "") else ""


def _tool(settings: Mapping[str, Any]) -> str:
    matches = (tool for key, value, tool in _TOOLS if key in settings and value.match(str(settings[key])[:100]))
    return next(matches, "AUTOMATIC1111")


def _postprocessing(fields: Fields) -> WrittenPrompt | None:
    """What the Extras tab writes, such as an upscaling: never a prompt."""
    settings = _postprocessing_settings(fields)
    if not any(key.startswith("Postprocess") for key in settings):
        return None
    return compose_wordless("AUTOMATIC1111", settings, resources=resources_of(settings))


def _postprocessing_settings(fields: Fields) -> dict[str, Any]:
    text = fields.text.get("postprocessing", "")
    return dict(infotext.settings(text)) if text and len(text) <= infotext.LONGEST_INFOTEXT else {}
