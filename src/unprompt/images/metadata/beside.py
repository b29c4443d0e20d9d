"""A text file beside a picture, in which its generator wrote the prompt: `00001-1.txt` or `.json` for `00001-1.png`.

AUTOMATIC1111's web UI writes its infotext, if its settings ask for it, Easy Diffusion `Prompt: ...` and the settings,
each on a line, or JSON. People and scripts save JSON of ComfyUI, SwarmUI, Fooocus and others there. Only a text that
states settings counts: captions for training, and the sidecars that unprompt writes, have the same names.
Source: modules/images.py of AUTOMATIC1111/stable-diffusion-webui;
ui/easydiffusion/utils/save_utils.py of easydiffusion, sdkit/utils/file_utils.py of sdkit.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace

from unprompt.images.metadata.cleaning import tidy
from unprompt.images.metadata.fields import Fields, decode
from unprompt.prediction import WrittenPrompt

LIMIT_BYTES = 1_000_000
"""Size of a file; the largest infotexts have a tenth of it."""

_LINE_LIMIT = 1_000


def read(path: str | os.PathLike[str]) -> WrittenPrompt | None:
    """Read what a generator wrote into a text file beside the picture at `path`; None if it wrote nothing there.

    The note of the answer names the file. Nothing is raised: a file that cannot be read says nothing.
    """
    stem = os.path.splitext(os.fspath(path))[0]
    for suffix, reader in _READERS.items():
        text = _text(stem + suffix)
        if text and (answer := reader(text)) is not None and answer.prompt:
            return replace(answer, note=tidy(f"read from {os.path.basename(stem)}{suffix} beside the picture"))
    return None


def _text(path: str) -> str:
    """The file's text; empty if there is no plain file, or a larger one."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= LIMIT_BYTES:
            return ""
        with open(path, "rb") as file:
            data = file.read(LIMIT_BYTES)
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # as Windows' older programs save
            return data.decode("utf-16", "replace")
        return decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return ""


# Few pictures have such a file, so the readers are imported for those that have one.


def written_as_text(text: str) -> WrittenPrompt | None:
    """Read what a generator wrote into a text file; None for a caption, which states no settings."""
    from unprompt.images.metadata import a1111, easydiffusion

    if text.startswith("Prompt:"):
        return easydiffusion.answer_of(_by_label(text, easydiffusion.LABELS))
    return a1111.answer_of(text)


def _by_label(text: str, labels: frozenset[str]) -> dict[str, str]:
    """The entries of `Prompt: a fox`, one a line; a text may go on over several lines."""
    entries: dict[str, str] = {}
    label = ""
    for line in text.splitlines()[:_LINE_LIMIT]:
        name, colon, value = line.partition(":")
        if colon and name in labels and name not in entries:
            label, entries[name] = name, value.strip()
        elif label:
            entries[label] += f"\n{line}"
    return entries


def _written_as_json(text: str) -> WrittenPrompt | None:
    from unprompt.images.metadata import bounded_json, easydiffusion, fooocus, spaces, swarmui

    fields = Fields({"parameters": text})
    if '"class_type"' in text:
        from unprompt.images.metadata.comfyui import reading

        return reading.read(fields)
    if found := swarmui.read(fields) or fooocus.read(fields):
        return found
    return easydiffusion.answer_of(bounded_json.parse_object(text)) or spaces.read(fields)


_READERS: dict[str, Callable[[str], WrittenPrompt | None]] = {
    ".txt": written_as_text,
    ".json": _written_as_json,
    ".swarm.json": _written_as_json,
}
