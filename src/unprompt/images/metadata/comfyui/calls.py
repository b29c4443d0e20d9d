"""What a rule sees of the node that it computes: the node's inputs, evaluated on demand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from unprompt.images.metadata.comfyui.graph import Graph, Node
from unprompt.images.metadata.comfyui.values import Text, Value, as_items, as_number, as_text


class Evaluator(Protocol):
    """Computes the inputs of nodes, each once."""

    graph: Graph

    def input(self, node: Node, name: str) -> Value:
        """The value of an input; None if the file does not tell it."""

    def pattern(self, pattern: str, text: str, flags: int) -> re.Pattern[str] | None:
        """A regular expression that is safe to run on this text, or None."""

    def named(self, name: str) -> Sequence[Node]:
        """The nodes of a kind."""


@dataclass(frozen=True, slots=True)
class Call:
    """One output of a node that is asked for."""

    evaluator: Evaluator
    node: Node
    output: int

    @property
    def raw(self) -> Any:
        """The inputs as the file has them."""
        return self.node.inputs

    def has(self, name: str) -> bool:
        """Whether the input is there and not empty."""
        return self.node.inputs.get(name) not in (None, "")

    def value(self, name: str) -> Value:
        """An input's value."""
        return self.evaluator.input(self.node, name)

    def text(self, name: str) -> Text:
        """An input as a text; empty if it is missing."""
        return as_text(self.value(name))

    def plain(self, name: str, default: str = "") -> str:
        """An input as a plain string."""
        return self.text(name).plain if name in self.node.inputs else default

    def items(self, name: str) -> tuple[Text, ...]:
        """An input as a list of texts."""
        return as_items(self.value(name))

    def number(self, name: str) -> int | float | None:
        """An input as a number, or None."""
        return as_number(self.value(name))

    def whole(self, name: str, default: int = 0) -> int:
        """An input as an integer within 32 bits."""
        number = self.number(name)
        return default if number is None else int(max(-(2**31), min(2**31, number)))

    def names(self, *starts: str) -> Iterator[str]:
        """The names of the inputs that start with one of these, in their order."""
        return (name for name in self.node.inputs if name.startswith(starts))


Rule: TypeAlias = Callable[[Call], Value]
"""Computes one output of a node."""
