"""Finds the graph that ComfyUI saved in a file, as text.

PNG text and tags of videos: `workflow`, which the editor opens, and `prompt`, which was executed. EXIF: any tag that
begins with `workflow:` or `prompt:`. Some nodes write both into one JSON object. Source: nodes.py and
comfy_extras/nodes_images.py of ComfyUI; videohelpersuite/nodes.py of ComfyUI-VideoHelperSuite.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.fields import Fields, extract

_NAMES = ("workflow", "prompt")  # the first is the one that people can open


def workflow_of(data: bytes) -> str | None:
    """The graph in a file, as the file holds it: the editor's or else the executed one; None if there is none."""
    fields = extract(data)
    return next((text for name in _NAMES for text in _texts(fields, name) if _is_graph(text)), None)


def _texts(fields: Fields, name: str) -> Iterator[str]:
    """What a file holds under a name, wherever that is."""
    if name in fields.text:
        yield fields.text[name].strip("\ufeff \t\r\n\x00")
    others = (*fields.exif.values(), *fields.text.values())
    for text in others:
        if text[: len(name) + 1].lower() == f"{name}:":
            yield text[len(name) + 1 :].strip("\ufeff \t\r\n\x00")
    for text in others:
        if f'"{name}"' in text:
            entry = bounded_json.parse_object(text).get(name)
            yield entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False)


def _is_graph(text: str) -> bool:
    """Whether it is the editor's graph, with a list of nodes, or the executed one, with a class for each node."""
    graph = bounded_json.parse_object(text)
    return isinstance(graph.get("nodes"), (list, dict)) or any(map(_is_node, graph.values()))


def _is_node(entry: Any) -> bool:
    return isinstance(entry, dict) and "class_type" in entry and "inputs" in entry
