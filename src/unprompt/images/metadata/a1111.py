"""AUTOMATIC1111's web UI and its relatives: Forge, SD.Next, and other tools that write the same text.

PNG text `parameters`; JPEG, WebP and AVIF: EXIF `UserComment`. The text is the prompt, then `Negative prompt: ...`,
then a line `Steps: 20, Sampler: Euler a, ...` in which a value with commas is a JSON string.
Source: modules/infotext_utils.py and modules/images.py of AUTOMATIC1111/stable-diffusion-webui.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, number
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

_NEGATIVE = "Negative prompt:"
_KEY = re.compile(r"\s*([A-Za-z][\w \-/.]{0,60}):\s*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_FEWEST_SETTINGS = 3  # a last line with fewer is part of the prompt, as in the web UI itself
_FORGE_VERSION = re.compile(r"f\d|neo\b|.*forge", re.IGNORECASE)


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the infotext under `parameters`, in `UserComment` or in a JPEG comment."""
    written = _answer(fields, fields.text.get("parameters"))
    if written is not None:
        return written
    for text in (fields.exif.get("UserComment"), fields.text.get("Comment")):
        # Cameras and editors write comments too; without settings or a negative prompt it is no infotext.
        if text and (_NEGATIVE in text or re.search(r"(?:^|\n)Steps: ", text)):
            return _answer(fields, text)
    return None


def split(text: str) -> tuple[str, str | None, dict[str, int | float | str]]:
    """Split an infotext into prompt, negative prompt (None if missing) and settings."""
    lines = text.replace("\r\n", "\n").strip().split("\n")
    end = _settings_start(lines)
    start = next((index for index, line in enumerate(lines[:end]) if line.lstrip().startswith(_NEGATIVE)), end)
    negative = "\n".join(lines[start:end]).lstrip().removeprefix(_NEGATIVE).strip()
    return "\n".join(lines[:start]).strip(), negative or None, settings("\n".join(lines[end:]))


def settings(text: str) -> dict[str, int | float | str]:
    """Parse settings such as `Steps: 20, Lora hashes: "a: b, c: d"`; numbers become numbers, hashes stay texts."""
    found: dict[str, int | float | str] = {}
    position = 0
    while position < len(text):
        key = _KEY.match(text, position)
        start = key.end() if key else position
        quoted = _QUOTED.match(text, start) if key else None  # fails by scanning to the end at most once
        end = text.find(",", quoted.end() if quoted else start)
        end = len(text) if end < 0 else end
        if key:
            value = _unquote(quoted[0]) if quoted else text[start:end].strip()
            found.setdefault(key[1], value if "hash" in key[1].lower() else number(value))
        position = end + 1
    return found


def _answer(fields: Fields, text: str | None) -> WrittenPrompt | None:
    if not text or len(text) > LONGEST_PROMPT or bounded_json.parse_object(text):
        return None
    prompt, negative, found = split(text)
    # The Extras tab writes `postprocessing`, such as an upscaling; it never contains a prompt.
    added = settings(fields.text.get("postprocessing", "")[:LONGEST_PROMPT])
    found |= {key: value for key, value in added.items() if key not in found}
    # Some nodes of ComfyUI write this text for sites that read no other, beside their graph.
    tool = "ComfyUI" if '"class_type"' in fields.text.get("prompt", "") else _tool(found)
    return compose(tool, prompt, negative, found)


def _settings_start(lines: list[str]) -> int:
    """The index of the line where the settings begin, or the number of lines if there are none."""
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].lstrip().startswith("Steps: "):
            return index
    last = lines[-1]
    is_settings = not last.startswith(_NEGATIVE) and len(settings(last)) >= _FEWEST_SETTINGS
    return len(lines) - 1 if is_settings else len(lines)


def _unquote(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text.strip('"')


def _tool(found: Mapping[str, int | float | str]) -> str:
    """The tool that the settings name, else AUTOMATIC1111."""
    version, app = str(found.get("Version", "")), str(found.get("App", ""))
    if app.lower().replace(" ", "").startswith("sd.next"):
        return "SD.Next"
    if _FORGE_VERSION.match(version[:100]) or "forge" in app.lower():
        return "Forge"
    if version.lower().startswith("comfyui"):
        return "ComfyUI"
    return "AUTOMATIC1111"
