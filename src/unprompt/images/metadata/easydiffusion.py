"""Easy Diffusion (cmdr2's Stable Diffusion UI).

PNG: one text chunk per setting; JPEG and WebP: the same entries as JSON in EXIF `UserComment`. The keys are the
program's internal ones (`negative_prompt`) or those of its interface (`Negative Prompt`).
Source: ui/easydiffusion/utils/save_utils.py of easydiffusion, sdkit/utils/file_utils.py of sdkit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import compose, number, without
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

_SPELLINGS = (
    ("prompt", "negative_prompt", ("use_stable_diffusion_model", "num_inference_steps")),
    ("Prompt", "Negative Prompt", ("Stable Diffusion model", "Guidance Scale")),
)


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the prompt from the text chunks or from `UserComment`."""
    return _answer(fields.text) or _answer(bounded_json.parse_object(fields.exif.get("UserComment")))


def _answer(entries: Mapping[str, Any]) -> WrittenPrompt | None:
    for prompt, negative, marks in _SPELLINGS:
        if prompt in entries and (negative in entries or any(mark in entries for mark in marks)):
            settings = {key: _value(value) for key, value in without(entries, (prompt, negative)).items()}
            return compose("Easy Diffusion", entries[prompt], _value(entries.get(negative)), settings)
    return None


def _value(value: Any) -> Any:
    """A PNG holds every setting as Python prints it."""
    if not isinstance(value, str):
        return value
    return {"None": None, "True": True, "False": False}.get(value, number(value))
