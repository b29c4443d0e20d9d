"""Computes the values of a graph's inputs from the file alone, each once.

A kind that `strings` or `numbers` knows is computed by its rule, a switch hands on the branch that was taken, and a
language model the user's words. The other thousands of kinds are read by the names of their inputs: texts are joined by
the node's separator, and a node without texts hands on its links.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from unprompt.images.metadata.comfyui import choices, numbers, rewriters, strings
from unprompt.images.metadata.comfyui.calls import Call
from unprompt.images.metadata.comfyui.graph import Graph, Link, Node, containing, link, matching
from unprompt.images.metadata.comfyui.values import (
    EMPTY,
    Piece,
    Text,
    Value,
    as_text,
    either,
    joined,
    text_of,
)

WORK_LIMIT = 5_000_000
"""Steps of regular expressions in a graph."""

DEPTH_LIMIT = 80
"""Nodes in a chain. A step takes up to eight of Python's frames, of which there are a thousand."""

_SPENT_LIMIT_CHARS = 2_000_000
_READ_LIMIT_CHARS = 20_000_000

TEXT_INPUT = containing(
    r"^(?:"
    r"(?:(?:populated|main|secondary|positive|user|input|final|full|base|original|global|scene|image|video)_?)*"
    r"(?:text|string|str(?!ength|ide)|prompt|value|wildcard|caption|description|tags|words|clip_[lg]|t5xxl|bert|mt5xl|llama"
    r"|qwen25_7b|part\d|line\d|opt_?text|source|any(?:thing)?(?:_?\d+)?$)"
    r")"
)
"""The inputs that hold words, in nodes that encode or make texts."""

NOT_TEXT_INPUT = matching(
    r".*(?:encoders?|_file|_path|_?types?|_?mode|_?format|_?style|strength|weight|upsampling|optimizer|extend|adherence"
    r"|language|font|size|colou?r|count|length|limit|_ids?|schedule|_opt|embeds|enhancer?|normalization|interpretation"
    r"|index|name|save_to|directory|folder|extension|preset|_?model|quality|width|height|delimiter|separator)$"
)
_NOT_PASSED = containing(
    r"^(?:"
    r"(?:model|clip(?:$|_vision|\d)|vae|image|images|pixels|latent|samples|mask|control_?net|noise|sigmas|sampler|seed|width|height"
    r"|unet|lora|bbox|sam_|segm|segs|upscale_model|style_model|audio|video|guide|steps|cfg|index|t5$|text_encoders?$)"
    r")"
)
_NEGATIVE = containing(r"(?:^|_)neg(?:ative)?(?:_|$|\d)|negative")
_DRAWS = containing(r"random|wildcard|dynamic|^dp[a-z]|combinatorial|shuffle|jinja|combinator")
_CHOICE_MARKS = re.compile(r"\{[^{}|]*\|[^{}]*\}|(?<!\w)__[\w/*.-]{1,80}__(?!\w)")
_FROM_FILE = containing(
    r"load\w*(?:text|file|prompt|line)|(?:text|prompt|line|string)\w*(?:fromfile|load|reader|file)|readtext"
)
SEPARATORS = ("delimiter", "separator", "join_with", "seperator", "glue")


class Evaluation:
    """The values of one graph. `instructions` are the texts that told language models how to write."""

    def __init__(self, graph: Graph, shown: Mapping[str, str] | None = None) -> None:
        self.graph = graph
        self.instructions: list[Piece] = []
        self.side = "positive"  # which a node's text is asked for that has both
        self._shown = shown or {}
        self._values: dict[tuple[str, str, int], Value] = {}
        self.depth = 0
        self._spent = 0
        self._read = 0
        self._work_left = WORK_LIMIT

    def input(self, node: Node, name: str) -> Value:
        """The value of an input; None if the file does not tell it."""
        value = _unwrapped(node.inputs.get(name))
        if isinstance(value, str):
            return text_of(value, node.label, node.title)
        if isinstance(value, (int, float)):
            return value
        if (target := link(value)) is not None:
            return self.output(*target)
        if isinstance(value, list):
            return tuple(text_of(item, node.label) for item in value[:1000] if isinstance(item, str))
        return None

    def text(self, node: Node, name: str) -> Text:
        """The value of an input as a text."""
        return as_text(self.input(node, name))

    def output(self, key: str, output: int) -> Value:
        """The value of a node's output."""
        node = self.graph.nodes.get(key)
        if node is None:
            return None
        place = (self.side, key, output)
        if place not in self._values:
            self._values[place] = None  # a cycle finds this
            if self.depth >= DEPTH_LIMIT or self._read > _READ_LIMIT_CHARS:
                return Text(partial=True)
            self.depth += 1
            value = self._computed(node, output)
            self.depth -= 1
            self._values[place] = self._within_limit(value)
        value = self._values[place]
        self._read += len(value.plain) if isinstance(value, Text) else 1
        return value

    def pattern(self, pattern: str, text: str, flags: int) -> re.Pattern[str] | None:
        """A regular expression that is safe to run on this text; None once the graph's patterns cost too much."""
        from unprompt.images.metadata.comfyui import patterns

        compiled, work = patterns.bounded(pattern, text, flags, self._work_left)
        self._work_left -= work
        return compiled

    def named(self, name: str) -> Sequence[Node]:
        """The nodes of a kind."""
        return self._kinds.get(name, ())

    @cached_property
    def _kinds(self) -> Mapping[str, list[Node]]:
        found: dict[str, list[Node]] = {}
        for node in self.graph.nodes.values():
            found.setdefault(node.name, []).append(node)
        return found

    def _within_limit(self, value: Value) -> Value:
        """A value, or nothing once the graph's texts are too long in all: a chain can double a text in each node."""
        texts = value if isinstance(value, tuple) else (value,)
        self._spent += sum(len(text.plain) + sum(map(len, text.others)) for text in texts if isinstance(text, Text))
        return value if self._spent <= _SPENT_LIMIT_CHARS else Text(partial=True)

    def _computed(self, node: Node, output: int) -> Value:
        rule = strings.RULES.get(node.name) or numbers.RULES.get(node.name)
        if rule is not None:
            return self._perhaps_drawn(node, rule(Call(self, node, output)))
        if rewriters.rewrites(node):
            return self._rewritten(node, output)
        if (choice := choices.choose(self, node, output)) is not None:
            values = [self.input(node, name) for name in choice.names]
            return values[0] if len(values) == 1 else either(map(as_text, values))
        if rewriters.shows(node):
            return self._shown_by(node)
        return self._perhaps_drawn(node, self._by_names(node))

    def _by_names(self, node: Node) -> Value:
        """The value of a node of an unknown kind."""
        names = text_inputs(node, self.side if _has_both_sides(node) else "positive")
        if not names:
            return self._number_or_passed(node)
        texts = [text for name in names if (text := self.text(node, name)).plain.strip() or text.partial]
        if not texts and _FROM_FILE(node.name):
            return Text(partial=True)
        separator = next((node.inputs[name] for name in SEPARATORS if isinstance(node.inputs.get(name), str)), None)
        if separator is None:
            return joined(unrepeated(texts), ", ")
        return joined(texts, separator[:20].replace("\\n", "\n"))

    def _number_or_passed(self, node: Node) -> Value:
        if (number := numbers.constant(Call(self, node, 0))) is not None:
            return number
        names = [name for name, _ in node.links if not _NOT_PASSED(name)]
        values = [value for name in names[:20] if (value := self.input(node, name)) is not None]
        if len(values) <= 1:
            return values[0] if values else self._outside(node)
        return joined(unrepeated([text for value in values if (text := as_text(value)).plain.strip()]), ", ")

    def _outside(self, node: Node) -> Value:
        return Text(partial=True) if _FROM_FILE(node.name) else None

    def _perhaps_drawn(self, node: Node, value: Value) -> Value:
        """Marks a text that still has choices or wildcards in it, out of a node that draws."""
        if not isinstance(value, Text) or not _DRAWS(node.name) or "populated_text" in node.inputs:
            return value
        kept = rewriters.kept(node) or self._shown_beside(node.key, 0)
        if kept and kept != value.plain:
            return text_of(kept, node.label)
        return replace(value, drawn=True) if _CHOICE_MARKS.search(value.plain[:20_000]) else value

    def _shown_by(self, node: Node) -> Value:
        """The text of a node that shows it: what it got if that is certain, else what it keeps from the run."""
        names = [name for name, _ in node.links if not _NOT_PASSED(name)] or text_inputs(node, "positive")
        value = self.input(node, names[0]) if names else None
        if isinstance(value, (int, float, tuple)):
            return value
        text = as_text(value)
        words = self._shown.get(node.key) or rewriters.kept(node)
        return text if (text.certain and text.plain.strip()) or not words.strip() else text_of(words, node.label)

    def _rewritten(self, node: Node, output: int) -> Value:
        """What a language model made: its answer if the graph keeps it, else what the user asked it for."""
        if kept := rewriters.kept(node) or self._shown_beside(node.key, output):
            return text_of(kept, node.label)
        names, instructing = rewriters.inputs_of(node)
        self.instructions.extend(piece for name in instructing for piece in self.text(node, name).pieces)
        texts = [text for name in names if (text := self.text(node, name)).plain.strip()]
        from unprompt.images.metadata.comfyui.instructions import separate

        users, told = separate(joined(unrepeated(texts), "\n"))
        self.instructions.extend(told)
        return Text(users, tuple(other for text in texts for other in text.others), rewritten=True)

    def _shown_beside(self, key: str, output: int) -> str:
        """What a node keeps that shows this output beside the way to the encoder."""
        for node in self._readers.get((key, output), ()):
            if rewriters.shows(node) and (words := self._shown.get(node.key) or rewriters.kept(node)).strip():
                return words
        return ""

    @cached_property
    def _readers(self) -> Mapping[Link, list[Node]]:
        return self.graph.readers()


def text_inputs(node: Node, side: str) -> list[str]:
    """The names of a node's inputs that hold words for one side."""
    inputs = node.inputs
    populated = [
        name for name, value in inputs.items() if "populated_text" in name and isinstance(value, str) and value
    ]
    names = populated or [name for name, value in inputs.items() if _may_hold_words(name, _unwrapped(value))]
    names = [name for name in names if side == "negative" or not _NEGATIVE(name)]
    sided = [name for name in names if side in name.lower() or (side == "negative" and _NEGATIVE(name))]
    return sided or [name for name in names if TEXT_INPUT(name) and not _NEGATIVE(name)]


def _may_hold_words(name: str, value: Any) -> bool:
    return (isinstance(value, str) or link(value) is not None) and not NOT_TEXT_INPUT(name)


def _has_both_sides(node: Node) -> bool:
    return any("positive" in name for name in node.inputs) and any("negative" in name for name in node.inputs)


def unrepeated(texts: list[Text]) -> list[Text]:
    """Drop texts that another one contains: SDXL's and Flux's encoders get the same prompt twice."""
    first: dict[str, Text] = {}
    for text in texts:
        first.setdefault(text.plain.strip(), text)
    if len(first) > 8:  # comparing all pairs would become slow
        return list(first.values())
    return [text for words, text in first.items() if not any(words != other and words in other for other in first)]


def _unwrapped(value: Any) -> Any:
    """A list as a plain value is wrapped, so that it is not taken for a link."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value


__all__ = ["EMPTY", "NOT_TEXT_INPUT", "TEXT_INPUT", "Evaluation", "text_inputs", "unrepeated"]
