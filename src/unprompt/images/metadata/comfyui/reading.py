"""ComfyUI's files: where the executed graph is, as JSON.

PNG text `prompt` (the graph) and `workflow` (the editor's drawing of it); WebP: EXIF tags whose text starts with
`prompt:` (`Model`; some nodes use others); `UserComment` of JPEG and WebP, and the comment of a video, as JSON that
holds both. Sources: comfy_extras/nodes_images.py and nodes.py of ComfyUI, videohelpersuite/nodes.py of
VideoHelperSuite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

_EXIF_TAGS = ("Model", "Make", "ImageDescription", "UserComment")
_COMMENTS = ("comment", "Comment", "COMMENT", "description", "Description")
_MARK = '"class_type"'
_ESCAPED_MARK = '\\"class_type\\"'


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the words that reached the picture that was saved."""
    entries, workflow = _graph(fields)
    if not entries:
        return None  # here the graph of a file that has only `workflow` will come from
    from unprompt.images.metadata.comfyui import answers, graph

    parsed = graph.parse(entries)
    return None if parsed is None else answers.answer(parsed, _shown(parsed, workflow))


def _graph(fields: Fields) -> tuple[Mapping[str, Any], str]:
    """The graph's nodes, and the text of the workflow beside it."""
    texts = fields.text
    if _MARK in texts.get("prompt", ""):
        return _nodes(bounded_json.parse_object(texts["prompt"])), texts.get("workflow", "")
    tags = [fields.exif.get(tag, "") for tag in _EXIF_TAGS]
    for text in tags:
        if text[:7].lower() == "prompt:":
            workflow = next((other for other in tags if other[:9].lower() == "workflow:"), "")
            return _nodes(bounded_json.parse_object(text[len("prompt:") :])), workflow[len("workflow:") :]
    for text in (fields.exif.get("UserComment", ""), *(texts.get(name, "") for name in _COMMENTS)):
        if _MARK in text or _ESCAPED_MARK in text:
            both = bounded_json.parse_object(text)
            if nodes := _nodes(both):
                drawing = both.get("workflow")
                return nodes, drawing if isinstance(drawing, str) else ""
    return {}, ""


def _nodes(entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """The nodes by id: the object itself, or what it holds as `prompt`, which may be JSON in a string."""
    inner = entries.get("prompt")
    if isinstance(inner, str):
        inner = bounded_json.parse_object(inner)
    return inner if isinstance(inner, dict) and "class_type" not in inner and inner else entries


def _shown(parsed: Any, workflow: str) -> Mapping[str, str]:
    """What the nodes of the workflow show; it is parsed only if the graph has such a node."""
    from unprompt.images.metadata.comfyui import rewriters

    if not workflow or not any(rewriters.shows(node) for node in parsed.nodes.values()):
        return {}
    return rewriters.shown_in(bounded_json.parse_object(workflow))
