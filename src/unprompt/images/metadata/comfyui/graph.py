"""A graph of nodes as ComfyUI executes it: `{id: {"class_type": .., "inputs": {name: value or [id, output]}}}`.

Ids are texts such as `6`, or `57:8` for a node of a subgraph. Source: execution.py of ComfyUI.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Link: TypeAlias = tuple[str, int]
"""The id of a node, and which of its outputs."""

_NODE_LIMIT = 10_000
_INPUT_LIMIT = 500
_NAME_LIMIT_CHARS = 200
_CACHED_NAMES = 512
_DECORATION = re.compile(r"\s*(?://|\||🅙|🅔|📐).*", re.DOTALL)
_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `name` is its kind in lower case, without spaces and the mark of its package.

    The names of its inputs may be `guessed`, if the graph was made of a workflow.
    """

    key: str
    kind: str
    inputs: Mapping[str, Any]
    title: str = ""
    guessed: bool = False
    name: str = field(init=False)
    links: tuple[tuple[str, Link], ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", normal(self.kind))
        targets = ((name, link(value)) for name, value in self.inputs.items() if isinstance(value, list))
        object.__setattr__(self, "links", tuple((name, target) for name, target in targets if target is not None))

    @property
    def label(self) -> str:
        """How an answer refers to the node."""
        return f"{self.key} {self.kind}"


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes by id. A link to a node that is missing counts as not connected."""

    nodes: Mapping[str, Node]

    def source(self, value: Any) -> tuple[Node, int] | None:
        """The node that an input comes from and which of its outputs; None for a plain value."""
        target = link(value)
        node = self.nodes.get(target[0]) if target else None
        return (node, target[1]) if node is not None and target is not None else None

    def readers(self) -> Mapping[Link, list[Node]]:
        """For each output, the nodes that read it."""
        found: dict[Link, list[Node]] = {}
        for node in self.nodes.values():
            for _, target in node.links:
                found.setdefault(target, []).append(node)
        return found


def parse(entries: Mapping[str, Any]) -> Graph | None:
    """Build a graph of the entries that are nodes; None if there are none, or too many."""
    if not 0 < len(entries) <= _NODE_LIMIT:
        return None
    named = ((key, entry) for key, entry in entries.items() if len(key) <= _NAME_LIMIT_CHARS)
    nodes = {key: node for key, entry in named if (node := _node(key, entry)) is not None}
    return Graph(_connected(nodes)) if nodes else None


def _connected(nodes: dict[str, Node]) -> dict[str, Node]:
    """The nodes with each `GetNode` linked to what the `SetNode` of its name holds; most graphs have neither."""
    setters = {_shared_name(node): node for node in nodes.values() if node.name.endswith("setnode")}
    getters = [node for node in nodes.values() if node.name.endswith("getnode")] if setters else []
    for node in getters:
        setter = setters.get(_shared_name(node))
        if setter is not None and setter.links:
            key, output = setter.links[0][1]
            nodes[node.key] = Node(node.key, "Reroute", {"value": [key, output]})
    return nodes


def _shared_name(node: Node) -> str:
    """The name by which a value is set and got: the node's only text, or what follows `Set_` in its title."""
    texts = (value for value in node.inputs.values() if isinstance(value, str))
    return next(texts, node.title.partition("_")[2])


def link(value: Any) -> Link | None:
    """The output that an input links to, or None if the input is a plain value."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    key, output = value
    if not isinstance(key, (str, int)) or isinstance(key, bool) or not isinstance(output, (int, float)):
        return None
    return str(key), int(output)


def own_name(name: str) -> str:
    """An input's name without that of the choice which brings it, such as `prompt` of `model.prompt`."""
    return name.rpartition(".")[2]


def matching(pattern: str) -> Callable[[str], bool]:
    """A test whether a whole name matches a pattern, in either case.

    The same few names occur again and again, so answers are kept. A pattern is compiled when it is first needed: all
    together take longer than to read a graph.
    """
    return functools.lru_cache(_CACHED_NAMES)(lambda name: _compiled(pattern).fullmatch(name) is not None)


def containing(pattern: str) -> Callable[[str], bool]:
    """A test whether a pattern occurs in a name, in either case."""
    return functools.lru_cache(_CACHED_NAMES)(lambda name: _compiled(pattern).search(name) is not None)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


@functools.lru_cache(_CACHED_NAMES)
def normal(kind: str) -> str:
    """A kind in lower case, without spaces, punctuation and the mark of its package: `Text _O` becomes `texto`."""
    return _NOT_A_LETTER.sub("", _DECORATION.sub("", kind).lower())


def _node(key: str, entry: Any) -> Node | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_type"), str):
        return None
    inputs = entry.get("inputs")
    if not isinstance(inputs, dict) or len(inputs) > _INPUT_LIMIT:
        return None
    about = entry.get("_meta")
    about = about if isinstance(about, dict) else {}
    title = about.get("title")
    title = title[:_NAME_LIMIT_CHARS] if isinstance(title, str) else ""
    inputs = {name: value for name, value in inputs.items() if len(name) <= _NAME_LIMIT_CHARS}
    return Node(key, entry["class_type"][:_NAME_LIMIT_CHARS], inputs, title, about.get("guessed") is True)
