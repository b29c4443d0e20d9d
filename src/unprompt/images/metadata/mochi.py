"""Mochi Diffusion: a caption `Include in Image: ..; Exclude from Image: ..; Model: ..; Generator: Mochi Diffusion 5`.

It is the IPTC caption, and XMP `description`. Version 6.1 writes one field a line, after `Metadata Version: 2`.
Source: files of the app, and its reader of its own captions (MochiLegacyCodec.swift).
"""

from __future__ import annotations

import re

from unprompt.images.metadata.composing import LONGEST_PROMPT, compose, number, without
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import Resource, WrittenPrompt

_TOOL = "Mochi Diffusion"
_PROMPT, _NEGATIVE = "Include in Image", "Exclude from Image"
_LABELS = re.compile(
    r"(?:^|; |\n)(Include in Image|Exclude from Image|Model|Model Key|Engine|Steps|Guidance Scale|Seed|Size|Quality|"
    r"Starting Image|ControlNet Image|Input Images|Scheduler|ML Compute Unit|Generator|Upscaler|Date|Metadata Version):"
)


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the caption, in IPTC or in XMP."""
    for text in (*fields.iptc.values(), fields.xmp.get("description", "")):
        if _PROMPT in text and _TOOL in text and len(text) <= LONGEST_PROMPT:
            _, *parts = _LABELS.split(text)
            entries = {label: value.strip() for label, value in zip(parts[::2], parts[1::2], strict=True)}
            settings = {key: number(value) for key, value in without(entries, (_PROMPT, _NEGATIVE)).items()}
            models = [Resource("checkpoint", entries.get("Model", ""))]
            return compose(_TOOL, entries.get(_PROMPT), entries.get(_NEGATIVE), settings, resources=models)
    return None
