"""Names the values of a workflow's widgets: a file lists them without names, in the order of the node's definition.

The names come from the node's inputs, if it lists all, else from the table of `layouts.py`, else they are guessed.
Source: `widgetInputs.ts`, `dynamicPrompts.ts` and `litegraphUtil.ts` of ComfyUI_frontend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from unprompt.images.metadata.comfyui.layouts import LAYOUTS

Node = Mapping[str, Any]

VALUE_LIMIT = 200  # widgets of a node; the largest nodes seen have about 80

# What the frontend shows after a seed: it is in the list of values, but no input takes it.
_SEEDS = {"seed", "noise_seed"}
_CONTROLS = {"fixed", "increment", "decrement", "randomize", "increment-wrap"}

# Values of a wrong type tell that a layout is another version's.
_NUMBERS = re.compile(r"(?:noise_)?seed|steps|cfg|denoise|width|height|batch_size|strength\w*|(?:start|end)_at_step")
_WORDS = re.compile(
    r"sampler_name|scheduler|(?:text|prompt|positive|negative|string)(?:_[a-z])?|\w+_(?:name|text)|style"
)

_DYNAMIC_KIND = re.compile(r"(?:CLIP)?TextEncode|Power Prompt|SDXL Power Prompt")
_COMMENT = re.compile(r"/[*/]")
_CHOICE = re.compile(r"\{[^{}|]{0,500}\|")

_FILE = re.compile(
    r"[^\n]{1,200}\.(?:safetensors|ckpt|pth?|bin|gguf|onnx|png|jpe?g|webp|txt|json|ya?ml|mp4|webm)(?: \[\w+\])?"
)
_TEXT_KIND = re.compile(r"(?<!con)(?<!kon)text|prompt|string|wildcard", re.IGNORECASE)
_WORDLESS = re.compile(
    r"MODEL|VAE|LATENT|MASK|INT|FLOAT|BOOLEAN|SIGMAS|SAMPLER|NOISE|CONTROL_NET|SEGS|SEG_ELT|SCRIPT|XY|IPADAPTER"
    r"|UPSCALER|UPSCALE_MODEL|DETAILER_HOOK|PK_HOOK"
)
_LABEL = re.compile(r"\[[A-Z ]{1,40}\]|Select (?:the|to) .{1,60}|data:\w{1,20}/\w{1,20};base64,.*", re.DOTALL)
_TEXTS = re.compile(r"STRING|\*")


def named(node: Node) -> tuple[dict[str, Any], bool]:
    """Name the values of a node's widgets: the values by input, and whether the names are certain.

    A node of an unknown kind whose inputs do not name the widgets has its texts as `text`, `text_2` and so on, and its
    other values as `widget_1` and so on, by position.
    """
    values = node.get("widgets_values")
    if isinstance(values, Mapping):  # Video Helper Suite
        return {name: value for name, value in islice(values.items(), VALUE_LIMIT) if name != "videopreview"}, True
    if not isinstance(values, list) or not values:
        return {}, True
    values = values[:VALUE_LIMIT]
    kind = str(node.get("type"))
    if kind in _UNUSUAL:
        return _UNUSUAL[kind](values), True
    layouts = (align(names, values) for names in _layouts(kind, node, len(values)))
    found = next((found for found in layouts if found is not None), None)
    if found is None:
        return _guessed(kind, node, values)
    return (found, True) if not _DYNAMIC_KIND.match(kind) else _processed(found)


def value_count(node: Node) -> int:
    """The number of values that a node lists."""
    values = node.get("widgets_values")
    return len(values) if isinstance(values, (list, Mapping)) else 0


def _processed(values: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The texts as the canvas hands them to an encoder: without comments; a random choice makes them uncertain."""
    found = {name: without_comments(value) if isinstance(value, str) else value for name, value in values.items()}
    return found, not any(isinstance(value, str) and _CHOICE.search(value) for value in found.values())


def without_comments(text: str) -> str:
    """Remove `/* .. */` and `// ..` to the end of the line."""
    kept, position, start, closed = [], 0, 0, True
    while (mark := _COMMENT.search(text, position)) is not None:
        block = mark[0] == "/*"
        end = text.find("*/" if block else "\n", mark.end()) if closed or not block else -1
        position = mark.end()
        if block and end < 0:
            closed = False  # nor does any later one end
            continue
        kept.append(text[start : mark.start()])
        position = start = (end + 2 if block else end) if end >= 0 else len(text)
    return "".join([*kept, text[start:]])


def align(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any] | None:
    """Pair names and values, leaving out the frontend's controls; None if a value cannot be what its name says.

    Missing values are those of an older version, superfluous ones those of buttons and previews.
    """
    found: dict[str, Any] = {}
    position, surplus = 0, len(values) - len(names)
    for name in names:
        if position >= len(values):
            break
        value = values[position]
        if not _fits(name, value):
            return None
        position += 1
        if name != "-":
            found[name] = value
        if position < len(values) and _is_control(values[position], name, value, surplus):
            position += 1
            surplus -= 1
    return found


def widget_inputs(node: Node) -> list[tuple[str, str, bool]]:
    """Name, type and whether it is linked, for each input of a node that stands for a widget."""
    inputs = node.get("inputs")
    return [
        (entry["name"], str(entry.get("type")), entry.get("link") is not None)
        for entry in (inputs if isinstance(inputs, list) else [])[:VALUE_LIMIT]
        if isinstance(entry, Mapping)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("widget"), Mapping)
    ]


def _layouts(kind: str, node: Node, count: int) -> list[Sequence[str]]:
    """The possible names of a node's widgets, the likeliest first: as the node lists them, then as the table does."""
    listed: Sequence[str] = [name for name, _, _ in widget_inputs(node)]
    known: list[Sequence[str]] = [layout.split() for layout in LAYOUTS.get(kind, "").split("|") if layout]
    known.sort(key=lambda names: abs(len(names) + _seeds(names) - count))  # the layout of the nearest version
    complete = listed and len(listed) <= count <= len(listed) + _seeds(listed)
    if known and complete:
        complete = set(known[0]) <= set(listed)
    return [listed, *known] if complete else known


def control_count(names: Sequence[str], values: Sequence[Any]) -> int:
    """The number of a node's values that are controls of those among its widgets that have these names."""
    return min(_seeds(names), sum(isinstance(value, str) and value in _CONTROLS for value in values))


def _seeds(names: Sequence[str]) -> int:
    """The number of values that are controls of seeds."""
    return sum(name in _SEEDS for name in names)


def _fits(name: str, value: Any) -> bool:
    if value is None:
        return True
    if _NUMBERS.fullmatch(name):
        return isinstance(value, (int, float)) or value == ""
    return isinstance(value, str) if _WORDS.fullmatch(name) else True


def _is_control(value: Any, name: str, before: Any, surplus: int) -> bool:
    """Whether a value is the control of the number before it, in early versions a switch after a seed."""
    if isinstance(before, bool) or not isinstance(before, (int, float)):
        return False
    if isinstance(value, str):
        return value in _CONTROLS
    return surplus > 0 and isinstance(value, bool) and name in _SEEDS


def _guessed(kind: str, node: Node, values: Sequence[Any]) -> tuple[dict[str, Any], bool]:
    """Names by position for a node of an unknown kind; certain only if no text can leave it."""
    texts = [value for value in values if _is_text(value, kind)]
    linked = sum(linked and bool(_TEXTS.fullmatch(type_)) for _, type_, linked in widget_inputs(node))
    replaced = len(texts) <= linked  # the texts are what the widgets held before they became inputs
    found: dict[str, Any] = {}
    count = 0
    for position, value in enumerate(values, 1):
        if not _is_text(value, kind):
            if isinstance(value, (str, int, float)):
                found[f"widget_{position}"] = value
        elif not replaced:
            count += 1
            found["text" if count == 1 else f"text_{count}"] = value
    return found, not count or _is_wordless(node)


def _is_wordless(node: Node) -> bool:
    """Whether a node has no output that could carry words."""
    outputs = node.get("outputs")
    entries = outputs if isinstance(outputs, list) else []
    return all(isinstance(entry, Mapping) and _WORDLESS.fullmatch(str(entry.get("type"))) for entry in entries)


def _is_text(value: Any, kind: str) -> bool:
    """Whether a value is likelier to be words than a file, a choice or a number."""
    if not isinstance(value, str) or not value.strip() or value in _CONTROLS:
        return False
    if _FILE.fullmatch(value) or _LABEL.fullmatch(value):
        return False
    return bool(re.search(r"\s", value.strip())) or bool(_TEXT_KIND.search(kind))


def _shown(values: Sequence[Any]) -> dict[str, Any]:
    """A node that shows texts keeps them as its values, in lists or not."""
    flat = [text for value in values for text in (value if isinstance(value, list) else [value])]
    texts = [text for text in flat[:VALUE_LIMIT] if isinstance(text, str) and text]
    return {f"text_{number}": text for number, text in enumerate(texts)}


def _stacked_loras(values: Sequence[Any]) -> dict[str, Any]:
    stack = [value for value in values if isinstance(value, Mapping) and "lora" in value]
    return {f"lora_{number}": dict(value) for number, value in enumerate(stack, 1)}


_UNUSUAL = {
    "ShowText|pysssss": _shown,
    "easy showAnything": _shown,
    "Power Lora Loader (rgthree)": _stacked_loras,
}
