"""Converts a workflow, as ComfyUI's canvas saves it, to the graph that its server would execute.

A workflow lists nodes with slots and links between them. Before it executes a graph, the canvas resolves what only it
knows: reroutes, primitives, muted and bypassed nodes, groups and subgraphs, and the nodes of packages that carry a
value without a link. Source: `graphToPrompt` and `ExecutableNodeDTO` of ComfyUI_frontend; the packages KJNodes
(`SetNode`, `GetNode`) and cg-use-everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from unprompt.images.metadata.comfyui import groups, widgets
from unprompt.images.metadata.comfyui.groups import INPUT, Definition, Node, key_of, slots_of

NODE_LIMIT = 10_000
NESTING_LIMIT = 12  # subgraphs within subgraphs
STEP_LIMIT = 100_000  # links, inputs and values of the whole workflow; the largest seen takes 7,000

_BROADCAST_LIMIT = 50
_MUTED, _BYPASSED = 2, 4
_REROUTES = {"Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss"}
_SILENT = re.compile(  # nodes of the canvas alone, which are not executed
    r"Note|MarkdownNote|PrimitiveNode|SetNode|GetNode|Label \(rgthree\)|Bookmark.*|Fast .*\(rgthree\)"
    r"|Reroute|Reroute \(rgthree\)|(?:Anything|Seed|Prompts) Everywhere.*|Note Plus.*|workflowStart.*"
)
_EVERYWHERE = re.compile(r"(?:Anything|Seed) Everywhere(?!\?).*")
_POSITIVE, _NEGATIVE = re.compile(r"(?:^|_)pos(?:itive|_|$)|^prompt"), re.compile(r"(?:^|_)neg(?:ative|_|$)")


@dataclass(frozen=True, slots=True)
class _Value:
    """What an input gets that no executed node gives: the value of a widget elsewhere."""

    value: Any


@dataclass(slots=True)
class _Scope:
    """The workflow itself, or one use of a subgraph: its nodes by id, and where it stands."""

    definition: Definition
    nodes: dict[str, Node]
    prefix: str = ""
    outer: tuple[_Scope, Node] | None = None
    muted: bool = False
    inner: dict[str, _Scope] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)  # of the promoted widgets, by input
    setters: dict[str, Node] = field(default_factory=dict)
    everywhere: list[tuple[str, re.Pattern[str] | None, Any]] = field(default_factory=list)


_Place: TypeAlias = "tuple[_Scope, Any]"  # a link, and where it is


def to_graph(workflow: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Convert a workflow: the graph in the form of the server, and whether all names of its inputs are certain.

    An executed node is `{"class_type": .., "inputs": {..}}` with its title in `_meta`, under its id, which within a
    subgraph starts with the ids of the nodes that hold it ("57:8"). `guessed` in `_meta` marks a node whose inputs have
    uncertain names. What exceeds a limit or is broken is left out, and the names then count as uncertain.
    """
    return _Conversion(workflow).graph()


class _Conversion:
    """One workflow, with what is left of its limits."""

    def __init__(self, workflow: Mapping[str, Any]) -> None:
        self._definitions = groups.definitions(workflow)
        self._nodes_left = NODE_LIMIT
        self._steps_left = STEP_LIMIT
        self._certain = True
        self._scopes: list[_Scope] = []
        self._open(groups.whole(workflow), "", None, (), False)

    def graph(self) -> tuple[dict[str, Any], bool]:
        executed = {
            scope.prefix + key: self._executed(scope, key, node)
            for scope in self._scopes
            if not scope.muted
            for key, node in scope.nodes.items()
            if node.get("mode") not in (_MUTED, _BYPASSED) and not self._is_silent(scope, key, node)
        }
        return {key: executed[key] for key in sorted(executed, key=_rank)}, self._certain

    def _open(
        self, definition: Definition, prefix: str, outer: tuple[_Scope, Node] | None, path: tuple[str, ...], muted: bool
    ) -> _Scope:
        """Open a definition where it is used, with all that it holds."""
        nodes = dict(definition.nodes) if len(definition.nodes) <= self._nodes_left else {}
        self._certain &= len(nodes) == len(definition.nodes)
        self._nodes_left -= len(nodes)
        scope = _Scope(definition, nodes, prefix, outer, muted)
        self._scopes.append(scope)
        if outer is not None:
            self._fill(scope, outer[1])
        for key, node in scope.nodes.items():
            kind = str(node.get("type"))
            if kind == "SetNode":
                scope.setters.setdefault(_first_text(node), node)
            if (held := self._definitions.get(kind)) is None:
                continue
            if kind in path or len(path) >= NESTING_LIMIT:
                self._certain = False
                continue
            unused = muted or node.get("mode") in (_MUTED, _BYPASSED)
            scope.inner[key] = self._open(held, f"{prefix}{key}:", (scope, node), (*path, kind), unused)
        scope.everywhere = list(islice(_broadcasts(scope), _BROADCAST_LIMIT))
        return scope

    def _fill(self, scope: _Scope, holder: Node) -> None:
        """Give the widgets of a subgraph the values that the node which stands for it holds."""
        filled = groups.filled(scope.definition, holder)
        scope.nodes.update(filled.nodes)
        scope.values.update(filled.values)
        self._certain &= filled.certain

    def _is_silent(self, scope: _Scope, key: str, node: Node) -> bool:
        kind = node.get("type")
        return (
            not isinstance(kind, str)
            or key in scope.inner
            or kind in self._definitions
            or bool(_SILENT.fullmatch(kind))
        )

    def _executed(self, scope: _Scope, key: str, node: Node) -> dict[str, Any]:
        slots = slots_of(node, "inputs")
        if not self._may_step(len(slots) + widgets.value_count(node)):
            return {"class_type": node["type"], "inputs": {}}
        inputs, certain = widgets.named(node)
        self._certain &= certain
        for position, slot in enumerate(slots):
            name = slot.get("name")
            if not isinstance(name, str):
                continue
            link = slot.get("link")
            if link is None and (unseen := groups.unseen_link(key, position)) in scope.definition.links:
                link = unseen
            if link is not None:
                found = self._source(scope, link, slot.get("type"))
            else:
                found = None if "widget" in slot else self._everywhere(scope, name, slot.get("type"))
            if found is not None:
                inputs[name] = found.value if isinstance(found, _Value) else found
        executed: dict[str, Any] = {"class_type": node["type"], "inputs": inputs}
        if details := _details(node, certain):
            executed["_meta"] = details
        return executed

    def _source(self, scope: _Scope, link: Any, kind: Any) -> _Value | list[Any] | None:
        """Follow a link to the executed node or the value at its start; None if there is neither, or a circle."""
        at: _Place | _Value | list[Any] | None = (scope, link)
        seen = set()
        while isinstance(at, tuple):
            place = id(at[0]), key_of(at[1])
            if place in seen or not self._may_step():
                return None
            seen.add(place)
            at = _back(*at, kind)
        return at

    def _may_step(self, steps: int = 1) -> bool:
        self._steps_left -= steps
        self._certain &= self._steps_left >= 0
        return self._steps_left >= 0

    def _everywhere(self, scope: _Scope, name: str, kind: Any) -> list[Any] | _Value | None:
        """What reaches an open input without a link."""
        for type_, pattern, link in scope.everywhere:
            if type_ == kind and (pattern is None or pattern.search(name.lower())):
                return self._source(scope, link, kind)
        return None


def _details(node: Node, certain: bool) -> dict[str, Any]:
    details: dict[str, Any] = {"title": node["title"]} if isinstance(node.get("title"), str) else {}
    return details if certain else {**details, "guessed": True}


def _rank(key: str) -> tuple[bool, int]:
    """JavaScript, which writes the graph, lists keys that are whole numbers first and in their order."""
    whole = key.isascii() and key.isdigit() and len(key) < 16
    return not whole, int(key) if whole else 0


def _back(scope: _Scope, link: Any, kind: Any) -> _Place | _Value | list[Any] | None:
    """One step back from a link: to another link, or to what gives the value, or nowhere."""
    key, slot = scope.definition.links.get(key_of(link), ("", 0))
    if key == INPUT:
        return _outside(scope, slot)
    node = scope.nodes.get(key)
    if node is None or node.get("mode") == _MUTED:
        return None
    if node.get("mode") == _BYPASSED:
        return _passed(scope, node, slot, kind)
    if key in scope.inner:
        return _inside(scope.inner[key], slot)
    type_ = node.get("type")
    if type_ in _REROUTES:
        return _first_link(scope, node)
    if type_ == "GetNode":
        return _set(scope, _first_text(node))
    return _primitive(node) if type_ == "PrimitiveNode" else [scope.prefix + key, slot]


def _outside(scope: _Scope, slot: int) -> _Place | _Value | None:
    """What a subgraph's own input gets where the subgraph is used: a link there, or the value of a widget."""
    if scope.outer is None or not 0 <= slot < len(scope.definition.inputs):
        return None
    around, holder = scope.outer
    name = scope.definition.inputs[slot]
    entry = groups.entry(holder, name, slot)
    if entry is not None and entry.get("link") is not None:
        return around, entry["link"]
    return _Value(scope.values[name]) if name in scope.values else None


def _inside(scope: _Scope, slot: int) -> _Place | None:
    outputs = scope.definition.outputs
    return (scope, outputs[slot]) if 0 <= slot < len(outputs) and outputs[slot] is not None else None


def _passed(scope: _Scope, node: Node, slot: int, kind: Any) -> _Place | None:
    """The link that a bypassed node passes on: the one beside the output, or the first, of the right type."""
    inputs = slots_of(node, "inputs")
    beside = inputs[slot : slot + 1] if slot >= 0 else []
    links = (entry.get("link") for entry in [*beside, *inputs] if entry.get("type") == kind)
    return next(((scope, link) for link in links if link is not None), None)


def _first_link(scope: _Scope, node: Node) -> _Place | None:
    links = (entry.get("link") for entry in slots_of(node, "inputs"))
    return next(((scope, link) for link in links if link is not None), None)


def _set(scope: _Scope, name: str) -> _Place | None:
    """The link of the node that sets a name, here or around."""
    while name not in scope.setters:
        if scope.outer is None:
            return None
        scope, _ = scope.outer
    return _first_link(scope, scope.setters[name])


def _primitive(node: Node) -> _Value | None:
    values = node.get("widgets_values")
    return _Value(values[0]) if isinstance(values, list) and values else None


def _first_text(node: Node) -> str:
    values = node.get("widgets_values")
    return values[0] if isinstance(values, list) and values and isinstance(values[0], str) else ""


def _broadcasts(scope: _Scope) -> Iterator[tuple[str, re.Pattern[str] | None, Any]]:
    """Type, pattern of the input's name and link of each value that is sent to all open inputs."""
    for node in scope.nodes.values():
        kind = node.get("type")
        if not isinstance(kind, str) or "Everywhere" not in kind or node.get("mode") in (_MUTED, _BYPASSED):
            continue
        sides: Sequence[re.Pattern[str] | None] = (_POSITIVE, _NEGATIVE) if kind.startswith("Prompts") else ()
        for position, entry in enumerate(slots_of(node, "inputs")):
            if (link := entry.get("link")) is None or not (sides or _EVERYWHERE.fullmatch(kind)):
                continue
            type_ = entry.get("type") if entry.get("type") != "*" else _type_of(scope, link)
            yield str(type_), sides[position] if position < len(sides) else None, link


def _type_of(scope: _Scope, link: Any) -> Any:
    """The type of the output where a link starts."""
    key, slot = scope.definition.links.get(key_of(link), ("", 0))
    outputs = slots_of(scope.nodes.get(key, {}), "outputs")
    return outputs[slot].get("type") if 0 <= slot < len(outputs) else None
