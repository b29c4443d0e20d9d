"""The words in a conditioning: what was encoded, on the way from a sampler back to the encoders.

A conditioning is combined, concatenated, limited to an area or a time; its words keep their order, their node, the area
as the role "region", and the strength. Of nodes with several outputs, the output decides which side is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from unprompt.images.metadata.comfyui import choices, numbers, outputs, rewriters, strings
from unprompt.images.metadata.comfyui.evaluating import (
    DEPTH_LIMIT,
    SEPARATORS,
    TEXT_INPUT,
    Evaluation,
    text_inputs,
    unrepeated,
)
from unprompt.images.metadata.comfyui.graph import Link, Node, containing, link, matching
from unprompt.images.metadata.comfyui.values import Text, as_text, joined
from unprompt.prediction import Role

_PASSAGE_LIMIT = 100
_WAY_LIMIT = 8
_STEP_LIMIT = 5_000
_EMPTY = containing(r"zeroout|emptyconditioning|conditioningzero|emptytextembeds")
_BOTH_IN_ONE = frozenset({"wanvideotextembedbridge"})
"""Nodes with one output for both sides, whose inputs are those of a sampler."""
_AREA = containing(
    r"setarea|setmask|area(?:percentage)?$|regional|attentioncouple|textbox|setregions?$|areastrength|maskcond"
)
_FOLLOWED: Mapping[str, tuple[str, ...]] = {
    "conditioningconcat": ("conditioning_to", "conditioning_from"),
    "conditioningaverage": ("conditioning_to", "conditioning_from"),
    "gligentextboxapply": ("conditioning_to", "text"),
    "bnkcutoffsetregions": ("clip_regions",),
    "bnkcutoffregionstoconditioning": ("clip_regions",),
    "wanvideoapplynag": ("original_text_embeds",),
    "cliptextencodecontrolnet": ("text", "conditioning"),
    "clipregionsbaseprompt": ("text",),
}
_CONDITIONING_INPUT = matching(
    r"(?:.*_)?(?:cond(?:itioning)?s?|embeds?|guider|regions?|prompts?_?cond\w*)(?:_?(?:to|from|in|opt|base|input|\d+|[a-h]))*$"
)
_NOT_CONDITIONING = containing(
    r"^(?:"
    r"(?:image|clip|vision|clip_vision|audio|face|pose|control|camera|phantom|multitalk|uni3c|empty)_?\w*embeds?"
    r"|nag_text_embeds|empty_conditioning"
    r")"
)
_NOT_PASSED = containing(
    r"^(?:"
    r"(?:model|clip|vae|image|images|pixels|latent|samples|mask|control_?net|noise|sigmas|unet|lora|style_model|t5|guide"
    r"|bbox|sam_|segm|segs|seed|steps|cfg|width|height|text_encoder|upscale_model|audio|reference|start_image|end_image)"
    r")"
)
_NOT_WORDS = containing(r"a_?score|strength|weight|_type|_mode")
_ENTRANCES = (
    *("positive", "pos", "positive_cond", "positive_conditioning", "base_positive", "conditioning_positive"),
    *("cond_positive", "positive_embeds", "positive_prompt_embeds", "conditioning", "cond1", "cond", "text_embeds"),
    *(
        "hyvid_embeds",
        "kolors_embeds",
        "prompt_embeds",
        "embeds",
        "text_conditioning",
        "conditionings",
        "positive_1",
        "guider",
    ),
)
_NEGATIVE_ENTRANCES = (
    *("negative", "neg", "negative_cond", "negative_conditioning", "base_negative", "neg_conditioning"),
    *("cond_negative", "negative_embeds", "negative_prompt_embeds", "text_embeds", "hyvid_embeds", "kolors_embeds"),
    *("embeds", "guider"),
)
_PROVIDERS = ("base_sampler", "upscaler", "sampler", "detailer_hook", "base_sampler_opt", "script")


@dataclass(frozen=True, slots=True)
class Passage:
    """Words that were encoded, with the node that did it."""

    text: Text
    role: Role
    node: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Words:
    """What reached one side of a sampler. `ways` are what it could be, if the file does not tell which."""

    passages: tuple[Passage, ...] = ()
    ways: tuple[tuple[Passage, ...], ...] = ()


class Conditionings:
    """The words of the conditionings of one graph, each node's found once."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._graph = evaluation.graph
        self._words: dict[tuple[Link, str, bool], Words] = {}

    def of_sampler(self, node: Node, side: Role) -> Words:
        """The words that reach a sampler on one side."""
        self._evaluation.side = side
        found = self._of_entrances(node, side)
        self._evaluation.side = "positive"
        return found

    def _of_entrances(self, node: Node, side: Role) -> Words:
        names = _ENTRANCES if side == "positive" else _NEGATIVE_ENTRANCES
        for name in names:
            if name in node.inputs:
                shared = side == "negative" and not name.startswith(("neg", "base_neg", "cond_neg"))
                found = self._of_input(node, name, side, shared)
                if found.passages or name in ("positive", "negative"):
                    return found
        bundles = [name for name in node.inputs if outputs.is_bundle(name) or name in _PROVIDERS]
        return next((found for name in bundles if (found := self._of_bundle(node, name, side)).passages), Words())

    def _of_bundle(self, node: Node, name: str, side: Role) -> Words:
        source = self._graph.source(node.inputs[name])
        if source is None:
            return Words()
        return self._of_node(*source, side, shared=True)

    def _of_input(self, node: Node, name: str, side: Role, shared: bool = False) -> Words:
        value = node.inputs.get(name)
        source = self._graph.source(value)
        if source is None:
            return _literal(self._evaluation.text(node, name), side, node)
        return self._of_node(*source, side, shared=shared)

    def _of_node(self, node: Node, output: int, side: Role, *, shared: bool) -> Words:
        """The words of a node's output, found once; a cycle finds none."""
        place = ((node.key, output), side, shared)
        if place not in self._words:
            self._words[place] = Words()
            if self._evaluation.depth < DEPTH_LIMIT and len(self._words) < _STEP_LIMIT:
                self._evaluation.depth += 1
                self._words[place] = self._found(node, output, side, shared)
                self._evaluation.depth -= 1
        return self._words[place]

    def _found(self, node: Node, output: int, side: Role, shared: bool) -> Words:
        if _EMPTY(node.name):
            return Words()
        if "guider" in node.name or node.name in _BOTH_IN_ONE:
            return self._of_entrances(node, side)
        named = outputs.output_name(node, output)
        if named in ("positive", "negative", "refiner_positive", "refiner_negative"):
            return self._of_slot(node, named.removeprefix("refiner_"), side)
        if (
            (node.name in strings.RULES and "encode" not in node.name)
            or node.name in numbers.RULES
            or _makes_text(node)
        ):
            return _literal(as_text(self._evaluation.output(node.key, output)), side, node)
        if (choice := choices.choose(self._evaluation, node, output)) is not None:
            ways = [self._of_input(node, name, side, shared) for name in choice.names]
            return ways[0] if len(ways) == 1 else _either(ways)
        if named == "pipe" or self._bundles(node) or (shared and _holds_side(node)):
            return self._of_slot(node, side, side)
        return self._limited(node, self._of_inputs(node, side, shared))

    def _bundles(self, node: Node) -> bool:
        """Whether a node extends a bundle, or makes one."""
        return any(outputs.is_bundle(name) for name, _ in node.links) and not _encodes(node)

    def _of_slot(self, node: Node, name: str, side: Role) -> Words:
        place = outputs.slot(self._graph, node, name)
        if place is None:
            return self._of_sides_named(node, side)
        holder, entry = place
        return self._of_input(holder, entry, side)

    def _of_sides_named(self, node: Node, side: Role) -> Words:
        """A bundle whose texts have longer names, such as `positive_populated_text`, or providers of samplers."""
        names = [name for name in text_inputs(node, side) if side in name]
        if names:
            return self._join(self._of_input(node, name, side) for name in names)
        return self._join(self._of_bundle(node, name, side) for name, _ in node.links if outputs.is_bundle(name))

    def _of_inputs(self, node: Node, side: Role, shared: bool) -> Words:
        names = _FOLLOWED.get(node.name)
        if names is None:
            names = tuple(self._names(node, side, shared))
        found = [
            (name, self._entry(node, name, side, shared and not _is_sided(name, side)))
            for name in names
            if name in node.inputs
        ]
        if node.name == "conditioningaverage":
            found = [(name, _weighted(words, _share(node, name))) for name, words in found]
        if node.name == "gligentextboxapply":
            found = [(name, _as_region(words) if name == "text" else words) for name, words in found]
        return self._joined_texts(node, found, side)

    def _names(self, node: Node, side: Role, shared: bool) -> Iterator[str]:
        """The inputs of an unknown kind that bring words for this side."""
        conditionings = [name for name, _ in node.links if _CONDITIONING_INPUT(name) and not _NOT_CONDITIONING(name)]
        sided = [name for name in _worded(node) if _is_sided(name, side)]
        if sided:
            yield from [name for name in sided if "populated" in name] or sided
            return
        texts = [] if shared and side == "negative" else text_inputs(node, "positive")
        yield from conditionings or ()
        yield from (name for name in texts if name not in conditionings)
        if not conditionings and not texts:
            yield from (name for name, _ in node.links if not _NOT_PASSED(name) and not _is_sided(name, _other(side)))

    def _entry(self, node: Node, name: str, side: Role, shared: bool) -> Words:
        if TEXT_INPUT(name) and not _CONDITIONING_INPUT(name) and self._is_text(node.inputs[name]):
            return _literal(self._evaluation.text(node, name), side, node)
        return self._of_input(node, name, side, shared)

    def _is_text(self, value: Any) -> bool:
        source = self._graph.source(value)
        return source is None or not _encodes(source[0])

    def _joined_texts(self, node: Node, found: list[tuple[str, Words]], side: Role) -> Words:
        """The words of all inputs; texts of one encoder become one passage, what repeats in them once."""
        own = [words for _, words in found if all(passage.node == node.label for passage in words.passages)]
        own = [words for words in own if words.passages]
        if len(own) < 2 or len(own) != len([words for _, words in found if words.passages]):
            return self._join(words for _, words in found)
        texts = unrepeated([passage.text for words in own for passage in words.passages])
        return _literal(joined(texts, ", "), side, node)

    def _join(self, parts: Iterable[Words]) -> Words:
        found = [words for words in parts if words.passages]
        passages = tuple(islice((passage for words in found for passage in words.passages), _PASSAGE_LIMIT))
        varied = (
            tuple(
                islice(
                    chain(*(way if at == index else other.passages for at, other in enumerate(found))), _PASSAGE_LIMIT
                )
            )
            for index, words in enumerate(found)
            for way in words.ways
        )
        return Words(passages, tuple(islice(varied, _WAY_LIMIT)))

    def _limited(self, node: Node, words: Words) -> Words:
        if not _AREA(node.name):
            return words
        strength = node.inputs.get("strength", 1.0)
        weight = float(strength) if isinstance(strength, (int, float)) and abs(strength) < 1e6 else 1.0
        return _weighted(_as_region(words) if node.name != "gligentextboxapply" else words, weight)


def _literal(text: Text, side: Role, node: Node) -> Words:
    return Words((Passage(text, side, node.label),)) if text.plain.strip() or text.rewritten else Words()


def _either(ways: list[Words]) -> Words:
    found = [words for words in ways if words.passages]
    if not found:
        return Words()
    others = [way for words in found[1:] for way in (words.passages, *words.ways)]
    return Words(found[0].passages, (*found[0].ways, *others)[:_WAY_LIMIT])


def _weighted(words: Words, weight: float) -> Words:
    return Words(tuple(replace(item, weight=round(item.weight * weight, 6)) for item in words.passages), words.ways)


def _as_region(words: Words) -> Words:
    regions = (replace(item, role="region") if item.role == "positive" else item for item in words.passages)
    return Words(tuple(regions), words.ways)


def _holds_side(node: Node) -> bool:
    """Whether a node that is read as a bundle has the sides of one under their own names."""
    return any(name in node.inputs for name in ("base_positive", "base_negative"))


def _share(node: Node, name: str) -> float:
    strength = node.inputs.get("conditioning_to_strength", 1.0)
    if not isinstance(strength, (int, float)):
        return 1.0
    return float(strength) if name == "conditioning_to" else 1.0 - float(strength)


def _is_sided(name: str, side: str) -> bool:
    lower = name.lower()
    return side in lower or lower.startswith(side[:3] + "_") or lower == side[:3]


def _worded(node: Node) -> Iterator[str]:
    """The inputs that may bring words: links and texts, not what steers how they count."""
    for name, value in node.inputs.items():
        if (isinstance(value, str) or link(value) is not None) and not _NOT_WORDS(name):
            yield name


def _other(side: Role) -> str:
    return "negative" if side == "positive" else "positive"


def _encodes(node: Node) -> bool:
    return re.search(r"encode|conditioning|embeds|loader", node.name) is not None


def _makes_text(node: Node) -> bool:
    """Whether a node makes a text, not a conditioning: a language model, a display, or what joins by a separator."""
    if _encodes(node):
        return False
    joins = any(isinstance(node.inputs.get(name), str) for name in SEPARATORS)
    return joins or rewriters.rewrites(node) or rewriters.shows(node)


__all__ = ["Conditionings", "Passage", "Words"]
