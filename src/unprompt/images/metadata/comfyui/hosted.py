"""The words of nodes that make pictures by themselves: those of hosted models, and unknown generators.

About twenty providers have such nodes, and each names its inputs a little differently; names tell what a text is for.
Sources: comfy_api_nodes of ComfyUI (OpenAI, Google, Black Forest Labs, Ideogram, Recraft, Stability, Luma, Runway,
Kling, MiniMax, PixVerse, ByteDance, Moonvalley, Vidu, Wan, Pika), SeargePromptAdapterV2 of SeargeSDXL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from unprompt.images.metadata.comfyui.conditioning import Passage
from unprompt.images.metadata.comfyui.evaluating import NOT_TEXT_INPUT, Evaluation
from unprompt.images.metadata.comfyui.graph import Node, link, matching, own_name
from unprompt.prediction import Role

# The first that matches an input's name; a text that no row names is no prompt.
_ROLES: tuple[tuple[Callable[[str], bool], Role], ...] = (
    (matching(r".*(?:negative|neg_|_neg\b|unwanted|exclude).*"), "negative"),
    (matching(r".*(?:system|instruction_prompt|rewrite).*"), "instruction"),
    (matching(r".*style.*prompt.*"), "style"),
    (matching(r"(?:.*_)?(?:region|area|background|foreground|mask)_?prompt.*"), "region"),
    (matching(r"(?:.*_)?refiner?_prompt.*"), "refiner"),
    (
        matching(
            r"(?:.*_)?prompts?(?:_?(?:text|\d|input|string|g|l|pos|positive))*|positive|(?:text|txt)2?\w{0,8}_?prompt"
        ),
        "positive",
    ),
)
_PLAIN = matching(r"text|description|caption|user_input|query|input_text|instruction")


def words(evaluation: Evaluation, node: Node) -> tuple[Passage, ...]:
    """The texts of a node, by what they are for."""
    named = [(name, role) for name, role in _named(node)]
    if not any(role == "positive" for _, role in named):
        named += [(name, "positive") for name in node.inputs if _PLAIN(own_name(name))]
    texts = ((evaluation.text(node, name), role) for name, role in named)
    return tuple(Passage(text, role, node.label) for text, role in texts if text.plain.strip() or text.rewritten)


def _named(node: Node) -> Iterator[tuple[str, Role]]:
    for name, value in node.inputs.items():
        own = own_name(name)
        if (isinstance(value, str) or link(value) is not None) and not NOT_TEXT_INPUT(own):
            role = next((role for is_one, role in _ROLES if is_one(own)), None)
            if role is not None:
                yield name, role
