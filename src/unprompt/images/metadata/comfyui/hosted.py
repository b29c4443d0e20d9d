"""The words of nodes that make pictures by themselves: those of hosted models, and unknown generators.

About twenty providers have such nodes, and each names its inputs a little differently; names tell what a text is for.
Sources: comfy_api_nodes of ComfyUI (OpenAI, Google, Black Forest Labs, Ideogram, Recraft, Stability, Luma, Runway,
Kling, MiniMax, PixVerse, ByteDance, Moonvalley, Vidu, Wan, Pika), SeargePromptAdapterV2 of SeargeSDXL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from unprompt.images.metadata.comfyui.conditioning import Passage
from unprompt.images.metadata.comfyui.evaluating import NOT_TEXT_INPUT, Evaluation
from unprompt.images.metadata.comfyui.graph import Node, link
from unprompt.prediction import Role

# The first that matches an input's name; a text that no row names is no prompt.
_ROLES: tuple[tuple[re.Pattern[str], Role], ...] = (
    (re.compile(r".*(?:negative|neg_|_neg\b|unwanted|exclude).*"), "negative"),
    (re.compile(r".*(?:system|instruction_prompt|rewrite).*"), "instruction"),
    (re.compile(r".*style.*prompt.*"), "style"),
    (re.compile(r"(?:.*_)?(?:region|area|background|foreground|mask)_?prompt.*"), "region"),
    (re.compile(r"(?:.*_)?refiner?_prompt.*"), "refiner"),
    (
        re.compile(
            r"(?:.*_)?prompts?(?:_?(?:text|\d|input|string|g|l|pos|positive))*|positive|(?:text|txt)2?\w{0,8}_?prompt"
        ),
        "positive",
    ),
)
_PLAIN = re.compile(r"text|description|caption|user_input|query|input_text|instruction", re.IGNORECASE)


def words(evaluation: Evaluation, node: Node) -> tuple[Passage, ...]:
    """The texts of a node, by what they are for."""
    named = [(name, role) for name, role in _named(node)]
    if not any(role == "positive" for _, role in named):
        named += [(name, "positive") for name in node.inputs if _PLAIN.fullmatch(name)]
    texts = ((evaluation.text(node, name), role) for name, role in named)
    return tuple(Passage(text, role, node.label) for text, role in texts if text.plain.strip() or text.rewritten)


def _named(node: Node) -> Iterator[tuple[str, Role]]:
    for name, value in node.inputs.items():
        if (isinstance(value, str) or link(value) is not None) and not NOT_TEXT_INPUT(name):
            role = next((role for pattern, role in _ROLES if pattern.fullmatch(name.lower())), None)
            if role is not None:
                yield name, role
