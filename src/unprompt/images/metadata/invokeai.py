"""InvokeAI, three generations: `invokeai_metadata` (3 and later), `sd-metadata` (2), `Dream` (1, a command line).

Source: invokeai/app/services/image_files of invoke-ai/InvokeAI for 3; sd-prompt-reader for 1 and 2.
"""

from __future__ import annotations

import re
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, number, without
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

_TOOL = "InvokeAI"
_UNWANTED = re.compile(r"\[([^\[\]]*)\]")  # the second generation writes negative words in brackets inside the prompt
_SWITCHES = {"s": "steps", "S": "seed", "W": "width", "H": "height", "C": "cfg_scale", "A": "sampler"}
_SWITCH = re.compile(r"(?:^|\s)-([sSWHCA])\s{0,4}([^\s-]\S{0,60})")


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt, from the newest generation's entry that holds one."""
    return (
        _third(bounded_json.parse_object(fields.text.get("invokeai_metadata")))
        or _second(bounded_json.parse_object(fields.text.get("sd-metadata")))
        or _first(fields.text.get("Dream") or fields.text.get("dream") or "")
    )


def _third(entries: dict[str, Any]) -> WrittenPrompt | None:
    settings = without(entries, ("positive_prompt", "negative_prompt"))
    model = entries.get("model")
    if isinstance(model, dict):
        settings["model"] = model.get("name") or model.get("model_name")
    return compose(_TOOL, entries.get("positive_prompt"), entries.get("negative_prompt"), settings)


def _second(entries: dict[str, Any]) -> WrittenPrompt | None:
    image = entries.get("image")
    if not isinstance(image, dict):
        return None
    prompt = image.get("prompt")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
        prompt = prompt[0].get("prompt")
    settings = without(image, ("prompt",)) | {"model": entries.get("model_weights")}
    return _bracketed(prompt, settings)


def _first(command: str) -> WrittenPrompt | None:
    """Parse `"a cat [blurry]" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms`; a space after the letters is optional."""
    if len(command) > LONGEST_PROMPT:
        return None
    command = command.strip()
    quoted, end = command.startswith('"'), command.rfind('"')
    if quoted and end > 0:
        prompt, switches = command[1:end], command[end + 1 :]
    else:
        start = re.search(r"\s-[sSWHCA]\s{0,4}[\d\w]", command)
        prompt, switches = (command[: start.start()], command[start.start() :]) if start else (command, "")
    settings = {_SWITCHES[letter]: number(value) for letter, value in _SWITCH.findall(switches)}
    return _bracketed(prompt, settings)


def _bracketed(prompt: object, settings: dict[str, Any]) -> WrittenPrompt | None:
    if not isinstance(prompt, str):
        return None
    return compose(_TOOL, _UNWANTED.sub(" ", prompt), ", ".join(_UNWANTED.findall(prompt)), settings)
