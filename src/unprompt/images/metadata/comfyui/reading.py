"""ComfyUI's files: where the executed graph is, as JSON.

PNG text `prompt` (the graph) and `workflow` (the editor's drawing of it); WebP: EXIF tags whose text starts with
`prompt:` (`Model`; some nodes use others); `UserComment` of JPEG and WebP, and the comment of a video, as JSON that
holds both. Savers of other people put either into any text that the format has. A file that has the workflow alone is
read through the graph that it would execute. Sources: comfy_extras/nodes_images.py and nodes.py of ComfyUI,
videohelpersuite/nodes.py of VideoHelperSuite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

_EXIF_TAGS = ("Model", "Make", "ImageDescription", "UserComment")
_PROMPT_KEYS = ("prompt", "Prompt")
_WORKFLOW_LINE = re.compile(r"\n\s{0,8}workflow:", re.IGNORECASE)
_MARK = '"class_type"'
_ESCAPED_MARK = '\\"class_type\\"'
_WORKFLOW_MARK = '"workflow"'
_NODES_MARK = '"nodes"'


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the words that reached the picture that was saved."""
    entries, drawing = _graph(fields)
    if not entries and not drawing:
        return None
    from unprompt.images.metadata.comfyui import answers, graph

    workflow: Mapping[str, Any] | None = None
    if not entries:
        from unprompt.images.metadata.comfyui.workflow import to_graph

        workflow = _object(drawing)
        entries, _ = to_graph(workflow)
    parsed = graph.parse(entries)
    return None if parsed is None else answers.answer(parsed, _shown(parsed, drawing, workflow))


def _graph(fields: Fields) -> tuple[Mapping[str, Any], Any]:
    """The graph's nodes, and the workflow beside it, or alone, as it stands."""
    texts = fields.text
    drawing: Any = texts.get("workflow", "")
    if _MARK in texts.get("prompt", ""):
        return _nodes(bounded_json.parse_object(texts["prompt"])), drawing
    first = [fields.exif.get(tag, "") for tag in _EXIF_TAGS]
    places = [*first, *fields.exif.values(), *texts.values(), *fields.xmp.values()]
    drawing = drawing or next((text[len("workflow:") :] for text in places if text[:9].lower() == "workflow:"), "")
    for text in places:
        if text[:7].lower() == "prompt:" and _MARK in text:
            graph, *line = _WORKFLOW_LINE.split(text[len("prompt:") :], maxsplit=1)
            return _nodes(bounded_json.parse_object(graph)), drawing or "".join(line)
    for text in dict.fromkeys(places):
        if any(mark in text for mark in (_MARK, _ESCAPED_MARK, _WORKFLOW_MARK)):
            both = bounded_json.parse_object(text)
            drawing = both.get("workflow") or drawing
            if nodes := _nodes(both):
                return nodes, drawing
    return {}, drawing if isinstance(drawing, dict) or (isinstance(drawing, str) and _NODES_MARK in drawing) else ""


def _nodes(entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """The nodes by id: the object itself, or what it holds as `prompt`, which may be JSON in a string."""
    inner = next((_object(entries[key]) for key in _PROMPT_KEYS if key in entries), entries)
    return inner if any(isinstance(entry, dict) and "class_type" in entry for entry in inner.values()) else {}


def _object(value: Any) -> Mapping[str, Any]:
    """A JSON object, which may stand in a string."""
    return value if isinstance(value, dict) else bounded_json.parse_object(value) if isinstance(value, str) else {}


def _shown(parsed: Any, drawing: Any, workflow: Mapping[str, Any] | None) -> Mapping[str, str]:
    """What the nodes of the workflow show; it is parsed only if the graph has such a node."""
    from unprompt.images.metadata.comfyui import rewriters

    if not any(rewriters.shows(node) for node in parsed.nodes.values()):
        return {}
    return rewriters.shown_in(_object(drawing) if workflow is None else workflow)
