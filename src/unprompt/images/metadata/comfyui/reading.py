"""ComfyUI: the executed graph as JSON, followed back from the sampler to the texts.

PNG text `prompt`; WebP: EXIF tags whose text starts with `prompt:` (`Model`; some nodes use others). A node is
`{"class_type": .., "inputs": {name: value or [node id, output]}}`. There are thousands of node types, so inputs are
recognised by their names, not by the type of node. Source: comfy_extras/nodes_images.py and nodes.py of ComfyUI.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.composing import LONGEST_PROMPT, compose
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

Side = Literal["positive", "negative"]
Node = Mapping[str, Any]

_NODE_LIMIT = 10_000
_ANCESTOR_LIMIT = 1_000
_DEPTH_LIMIT = 60  # nodes in a chain; the walk is recursive
_JOINED_LIMIT_CHARS = 10 * LONGEST_PROMPT
_EXIF_TAGS = ("Model", "Make", "ImageDescription", "UserComment")

# The inputs that bring a sampler its prompts, the likeliest first.
_SAMPLER_INPUTS = ("positive", "guider", "conditioning", "cond1", "pipe", "basic_pipe")
_TEXT_INPUT = re.compile(
    r"(?:populated_)?(?:text|string|str(?!ength)|prompt|value|wildcard|clip_[lg]|t5xxl|bert|mt5xl|llama)", re.IGNORECASE
)
_FINAL_TEXT_INPUT = "populated_text"  # a wildcard node also keeps its template
# Links that lead to no text.
_OTHER_INPUTS = re.compile(
    r"(?:model|clip$|clip_vision|vae|image|pixels|latent|samples|mask|control_net|controlnet|noise|sigmas|sampler)",
    re.IGNORECASE,
)
_SETTINGS = (
    "seed",
    "noise_seed",
    "steps",
    "cfg",
    "guidance",
    "sampler_name",
    "scheduler",
    "denoise",
    "ckpt_name",
    "unet_name",
)


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the texts that reach the first sampler, with its settings."""
    entries = bounded_json.parse_object(_graph_text(fields))
    nodes = {
        key: node
        for key, node in entries.items()
        if isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
    }
    if not nodes or len(nodes) > _NODE_LIMIT:
        return None
    for sampler in _samplers(nodes):
        prompt = _Walk(nodes, "positive").from_sampler(sampler)
        negative = _Walk(nodes, "negative").from_sampler(sampler)
        if (answer := compose("ComfyUI", prompt, negative, _settings(nodes, sampler))) is not None:
            return answer
    return None


def _graph_text(fields: Fields) -> str | None:
    if "prompt" in fields.text:
        return fields.text["prompt"]
    texts = (fields.exif.get(tag, "") for tag in _EXIF_TAGS)
    return next((text[len("prompt:") :] for text in texts if text[:7].lower() == "prompt:"), None)


def _samplers(nodes: Mapping[str, Node]) -> list[str]:
    """At most ten sampler nodes: first passes (fed by no other sampler) before refiners and upscalers."""
    takes_prompt = [key for key, node in nodes.items() if any(_link(node["inputs"].get(n)) for n in _SAMPLER_INPUTS)]
    named = [key for key in takes_prompt if "sampler" in nodes[key]["class_type"].lower()]
    samplers = named or [key for key in takes_prompt if {"positive", "guider"} & nodes[key]["inputs"].keys()]
    known = set(samplers)
    return sorted(samplers[:20], key=lambda sampler: bool(known & set(_ancestors(nodes, sampler, "latent"))))[:10]


def _ancestors(nodes: Mapping[str, Node], start: str, through: str = "") -> Iterator[str]:
    """Yield the nodes upstream of `start`, nearest first; the links of `start` must contain `through` in their name."""
    inputs = nodes[start]["inputs"]
    queue = deque(link for name, value in inputs.items() if through in name and (link := _link(value)))
    seen = {start}
    while queue and len(seen) <= _ANCESTOR_LIMIT:
        key = queue.popleft()
        if key in seen or key not in nodes:
            continue
        seen.add(key)
        yield key
        queue.extend(link for value in nodes[key]["inputs"].values() if (link := _link(value)))


def _settings(nodes: Mapping[str, Node], sampler: str) -> dict[str, Any]:
    """For each setting the value nearest to the sampler; custom samplers spread settings over several nodes."""
    found: dict[str, Any] = {}
    for key in (sampler, *_ancestors(nodes, sampler)):
        inputs = nodes[key]["inputs"]
        for name in _SETTINGS:
            value = inputs.get(name)
            if (link := _link(value)) and link in nodes:
                source = nodes[link]["inputs"]
                value = next((source[n] for n in (name, "seed", "value", "int") if n in source), None)
            if isinstance(value, (str, int, float)):
                found.setdefault(name, value)
    return found


def _link(value: Any) -> str | None:
    """The node that an input links to, or None if the input is a plain value."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int)):
        return str(value[0])
    return None


class _Walk:
    """A walk upstream through the graph that collects the texts of one side.

    Each node is visited once and its text kept, so cycles end and shared nodes cost nothing. The number of joined
    characters is limited, since a chain of nodes that join a text with itself doubles it each time.
    """

    def __init__(self, nodes: Mapping[str, Node], side: Side) -> None:
        self._nodes = nodes
        self._side = side
        self._texts: dict[str, str] = {}
        self._joined_chars = 0

    def from_sampler(self, key: str) -> str:
        """The text that reaches a sampler or its guider; a guider without a negative input has no negative text."""
        inputs = self._nodes[key]["inputs"]
        if self._side in inputs:
            return self._text(inputs[self._side], 0)
        for name in ("guider", "pipe", "basic_pipe"):
            link = _link(inputs.get(name))
            if link and link in self._nodes:
                return self._from_guider(link)
        return self._from_guider(key)

    def _from_guider(self, key: str) -> str:
        inputs = self._nodes[key]["inputs"]
        names = ("positive", "conditioning", "cond1") if self._side == "positive" else ("negative", "neg_conditioning")
        return next((self._text(inputs[name], 0) for name in names if name in inputs), "")

    def _text(self, value: Any, depth: int) -> str:
        """The text of an input: its value, or the text of the node that it links to."""
        if isinstance(value, str):
            return value
        key = _link(value)
        if key is None or key not in self._nodes or depth > _DEPTH_LIMIT:
            return ""
        if key not in self._texts:
            self._texts[key] = ""  # a cycle finds this
            self._texts[key] = self._node_text(self._nodes[key], depth + 1)
        return self._texts[key]

    def _node_text(self, node: Node, depth: int) -> str:
        if "zeroout" in node["class_type"].lower():  # Flux and SD3 graphs have an empty negative side
            return ""
        inputs = node["inputs"]
        names = self._text_inputs(inputs) or self._passed_inputs(inputs)
        texts = [text for name in names if (text := self._text(inputs[name], depth)).strip()]
        self._joined_chars += sum(map(len, texts))
        if self._joined_chars > _JOINED_LIMIT_CHARS:
            return ""
        separator = _separator(inputs)
        return ", ".join(_unrepeated(texts)) if separator is None else separator.join(texts)

    def _text_inputs(self, inputs: Mapping[str, Any]) -> list[str]:
        """The names of the inputs that hold text for this side."""
        if isinstance(inputs.get(_FINAL_TEXT_INPUT), str):
            return [_FINAL_TEXT_INPUT]
        other = "negative" if self._side == "positive" else "positive"
        names = [
            name
            for name, value in inputs.items()
            if (isinstance(value, str) or _link(value)) and other not in name and not name.startswith("neg_")
        ]
        sided = [name for name in names if self._side in name]
        return sided or [name for name in names if _TEXT_INPUT.match(name)]

    def _passed_inputs(self, inputs: Mapping[str, Any]) -> list[str]:
        """The links that a node without text passes on: conditioning, or whatever a reroute carries."""
        names = [name for name, value in inputs.items() if _link(value) and not _OTHER_INPUTS.match(name)]
        return sorted(names, key=lambda name: name.endswith("_from"))  # conditioning_to comes before conditioning_from


def _separator(inputs: Mapping[str, Any]) -> str | None:
    """The separator of a node that joins texts, or None if it has no such input."""
    for name in ("delimiter", "separator"):
        value = inputs.get(name)
        if isinstance(value, str) and len(value) <= 20:
            return value.replace("\\n", "\n")
    return None


def _unrepeated(texts: list[str]) -> list[str]:
    """Drop texts that another one contains: SDXL and Flux nodes get the same prompt for two encoders."""
    texts = list(dict.fromkeys(text.strip() for text in texts))
    if len(texts) > 8:  # comparing all pairs would become slow
        return texts
    return [text for text in texts if not any(text != other and text in other for other in texts)]
