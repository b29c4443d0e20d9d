"""Settings and model files of a pass, from the nodes upstream of it."""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from unprompt.images.metadata.comfyui.evaluating import Evaluation
from unprompt.images.metadata.comfyui.graph import Node, containing, matching, own_name
from unprompt.images.metadata.comfyui.values import Text
from unprompt.prediction import Resource

_ANCESTOR_LIMIT = 1_000
_SETTINGS = (
    *(
        "seed",
        "noise_seed",
        "steps",
        "cfg",
        "guidance",
        "embedded_guidance_scale",
        "sampler_name",
        "scheduler",
        "denoise",
    ),
    *("width", "height", "ckpt_name", "unet_name", "shift", "flow_shift", "num_frames", "length", "fps", "frame_rate"),
)
_NUMBERS = {
    "seed",
    "noise_seed",
    "steps",
    "cfg",
    "guidance",
    "denoise",
    "width",
    "height",
    "shift",
    "num_frames",
    "length",
    "fps",
}
_HOSTED_SETTINGS = (
    *(
        "model",
        "model_name",
        "aspect_ratio",
        "size",
        "quality",
        "style",
        "style_preset",
        "background",
        "n",
        "resolution",
    ),
    *("duration", "duration_seconds", "mode", "version", "guidance_scale", "cfg_scale", "output_format"),
)
_LITERAL_LIMIT_CHARS = 300
_NO_FILE = {"", "none", "baked vae", "undefined", "null", "disabled", "default"}
_KINDS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("lora", matching(r"lora(?:_?\d+)?(?:_name)?(?:_?\d+)?|.*lora_name.*")),
    (
        "checkpoint",
        matching(r"(?:.*_)?(?:ckpt|checkpoint)(?:_name)?(?:_?\d)?|unet_name|gguf_name|diffusion_name|diffusion_model"),
    ),
    ("vae", matching(r"vae(?:_name)?")),
    ("text encoder", matching(r"clip_name\d?|text_encoder\d?(?:_name)?|t5_name|llm_model")),
    ("controlnet", matching(r"control_?net(?:_?name)?(?:_?\d)?")),
    ("hypernetwork", matching(r"hypernetwork_name")),
    ("upscaler", matching(r"upscale_model(?:_name)?|upscaler_name")),
    (
        "model",
        matching(r"style_model_name|ipadapter_file|clip_vision(?:_name)?|gligen_name|pulid_file|model_patch|name"),
    ),
)
_BY_NODE: tuple[tuple[Callable[[str], bool], str, str], ...] = (
    (containing(r"upscalemodelloader"), "model_name", "upscaler"),
    (
        containing(r"(?:video|wan|hyvideo|diffusion|unet|nunchaku|gguf)\w*model\w*loader|modelloader|unetloader"),
        "model",
        "checkpoint",
    ),
    (containing(r"(?:video|hyvideo|wan)\w*modelloader|unetloader|dit\w*loader"), "model_name", "checkpoint"),
    (containing(r"vaeloader"), "model_name", "vae"),
    (containing(r"t5\w*loader|textencoderloader|textencoder"), "model_name", "text encoder"),
    (containing(r"lora\w*select|lora\w*loader"), "lora", "lora"),
)
_WEIGHTS = ("strength_model", "strength", "model_strength", "lora_model_strength", "strength_clip", "weight")


def upstream(evaluation: Evaluation, start: Node, stops: Callable[[Node], bool]) -> Iterator[Node]:
    """Yield a node and those upstream of it, nearest first, without crossing the nodes that `stops` names."""
    queue, seen = deque([start]), {start.key}
    while queue and len(seen) <= _ANCESTOR_LIMIT:
        node = queue.popleft()
        yield node
        for _, (key, _output) in node.links:
            source = evaluation.graph.nodes.get(key)
            if source is not None and key not in seen and not stops(source):
                seen.add(key)
                queue.append(source)


def settings(evaluation: Evaluation, nodes: list[Node], *, hosted: bool) -> dict[str, Any]:
    """For each setting the value in the first of these nodes that has it, computed if it is linked."""
    found: dict[str, Any] = {}
    for node in nodes:
        for name in _SETTINGS:
            if name in node.inputs and name not in found and (value := _scalar(evaluation, node, name)) is not None:
                found[name] = value
    for name in nodes[0].inputs if hosted and nodes else ():
        own = own_name(name)
        if own in _HOSTED_SETTINGS and (value := _scalar(evaluation, nodes[0], name)) is not None:
            found.setdefault(own, value)
    return found


def _scalar(evaluation: Evaluation, node: Node, name: str) -> str | int | float | None:
    """A setting's value. A node that hands on a setting of its own has it under the same name."""
    for _ in range(20):
        source = evaluation.graph.source(node.inputs.get(name))
        if source is None or name not in source[0].inputs:
            break
        node = source[0]
    value = evaluation.input(node, name) if name in node.inputs else None
    if isinstance(value, Text):
        return (
            value.plain if len(value.plain) <= _LITERAL_LIMIT_CHARS and value.certain and name not in _NUMBERS else None
        )
    return value if isinstance(value, (int, float)) else None


def resources(nodes: list[Node]) -> Iterator[Resource]:
    """The model files that these nodes load."""
    for node in nodes:
        for name, value in node.inputs.items():
            if isinstance(value, dict):
                yield from _from_row(value)
            elif isinstance(value, str) and (kind := _kind(node.name, name)) and _is_file(value):
                yield from _from_input(node, name, kind, value)


def _from_input(node: Node, name: str, kind: str, value: str) -> Iterator[Resource]:
    if not _is_off(node, name):
        yield Resource(kind, value, _weight(node, name) if kind in ("lora", "controlnet") else None)


def _is_file(value: str) -> bool:
    return len(value) <= _LITERAL_LIMIT_CHARS and value.strip().lower() not in _NO_FILE


@functools.lru_cache(512)
def _kind(maker: str, name: str) -> str | None:
    """What kind of file an input of a kind of node names, if it names one."""
    lower = name.lower()
    for makes, entry, kind in _BY_NODE:
        if lower == entry and makes(maker):
            return kind
    for kind, names in _KINDS:
        if names(lower):
            return kind if lower != "name" else None
    return None


def _from_row(row: Mapping[str, Any]) -> Iterator[Resource]:
    """A row of rgthree's Power Lora Loader: `{"on": true, "lora": name, "strength": 1}`."""
    name, weight = row.get("lora"), row.get("strength")
    if isinstance(name, str) and row.get("on") is True and name.strip().lower() not in _NO_FILE:
        yield Resource("lora", name, float(weight) if isinstance(weight, (int, float)) else None)


def _is_off(node: Node, name: str) -> bool:
    """Whether a stack's row is switched off, or behind the rows that count."""
    number = re.search(r"\d+", name)
    if number is None:
        return node.inputs.get("toggle") is False
    count = node.inputs.get("lora_count", node.inputs.get("num_loras"))
    if isinstance(count, int) and int(number[0]) > count:
        return True
    return node.inputs.get(f"switch_{number[0]}") in ("Off", False)


def _weight(node: Node, name: str) -> float | None:
    number = re.search(r"\d+", name)
    index = number[0] if number else ""
    names = [
        *(
            f"{form}_{index}"
            for form in ("lora_wt", "model_str", "model_weight", "strength", "weight", "lora_strength")
        ),
        *(f"lora_{index}_strength", f"lora_{index}_model_strength", f"strength_model_{index}"),
    ]
    values = (node.inputs.get(key) for key in (names if index else _WEIGHTS))
    weight = next((value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)), None)
    return None if weight is None else float(weight)
