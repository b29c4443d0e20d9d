"""The parts of a ComfyUI workflow that hold nodes: the workflow itself, its subgraphs (2025), its group nodes (2023).

All three become a `Definition`, so that they are converted alike. Source: `subgraph/` and `groupNode.ts` of
ComfyUI_frontend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from unprompt.images.metadata.comfyui import widgets

Node: TypeAlias = "Mapping[str, Any]"

INPUT, OUTPUT = "-10", "-20"
"""The ids of the nodes that stand for the inputs and the outputs of a subgraph."""

_DEFINITION_LIMIT = 500
_SLOT_LIMIT = 200
_LINK_LIMIT = 100_000


@dataclass(slots=True)
class Definition:
    """Nodes by id, links by id, and what leads in and out.

    `links` maps a link to the node and the slot where it starts. `inputs` are the names of the inputs, `outputs` the
    links that lead out. `promoted` are the inputs that lead to a widget, in order. `grouped` says that the values of
    the node that uses it are those of all inner widgets in turn.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    links: dict[str, tuple[str, int]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str | None] = field(default_factory=list)
    promoted: list[str] = field(default_factory=list)
    grouped: bool = False


@dataclass(slots=True)
class Filled:
    """The values of one use: nodes whose widgets have others than in the definition, values of inputs by name."""

    nodes: dict[str, Node] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    certain: bool = True


def whole(workflow: Mapping[str, Any]) -> Definition:
    """Read the workflow's own nodes and links."""
    extra = workflow.get("extra")
    unseen = _unseen_links(extra.get("ue_links") if isinstance(extra, Mapping) else None)
    return Definition(_nodes(workflow), {**{key: origin for key, origin, _ in _links(workflow)}, **dict(unseen)})


def unseen_link(key: str, slot: int) -> str:
    """The name of a link that is not drawn: cg-use-everywhere lists those that it makes."""
    return f"{key}<{slot}"


def _unseen_links(listed: Any) -> Iterator[tuple[str, tuple[str, int]]]:
    for link in _mappings(listed, _LINK_LIMIT):
        target, start = link.get("downstream_slot"), link.get("upstream_slot")
        if isinstance(target, int) and isinstance(start, int):
            yield unseen_link(key_of(link.get("downstream")), target), (key_of(link.get("upstream")), start)


def definitions(workflow: Mapping[str, Any]) -> dict[str, Definition]:
    """Read what a workflow defines, by the type of the nodes that use it."""
    found = {f"workflow{mark}{name}": group for name, group in _groups(workflow) for mark in "/>"}
    held = workflow.get("definitions")
    subgraphs = held.get("subgraphs") if isinstance(held, Mapping) else None
    for subgraph in _mappings(subgraphs, _DEFINITION_LIMIT):
        if isinstance(key := subgraph.get("id"), str):
            found[key] = _subgraph(subgraph)
    return found


def filled(definition: Definition, holder: Node) -> Filled:
    """Give the widgets within a definition the values of the node that uses it."""
    values = holder.get("widgets_values")
    if not isinstance(values, list) or not values:
        return Filled()
    if definition.grouped:
        return _shared_out(definition, values)
    return _promoted(definition, holder, values)


def entry(holder: Node, name: str, slot: int) -> Mapping[str, Any] | None:
    """The input of a node that uses a definition: by name, since saved nodes lack unlinked widgets, or by position."""
    entries = slots_of(holder, "inputs")
    named = next((entry for entry in entries if name and entry.get("name") == name), None)
    if named is not None or (name and any(entry.get("widget") for entry in entries)):
        return named
    return entries[slot] if slot < len(entries) else None


def slots_of(node: Node, side: str) -> list[Mapping[str, Any]]:
    """The inputs or outputs of a node."""
    return list(_mappings(node.get(side), _SLOT_LIMIT))


def key_of(identifier: Any) -> str:
    """An id as text: older workflows have numbers where newer ones have texts."""
    return str(identifier) if isinstance(identifier, (int, str)) else ""


def _mappings(values: Any, limit: int) -> Iterator[Mapping[str, Any]]:
    entries = values if isinstance(values, list) else values.values() if isinstance(values, Mapping) else ()
    return (entry for entry in islice(entries, limit) if isinstance(entry, Mapping))


def _nodes(container: Mapping[str, Any]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in _mappings(container.get("nodes"), _LINK_LIMIT):
        found.setdefault(key_of(node.get("id")), node)
    found.pop("", None)
    return found


def _links(container: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, int], tuple[str, int]]]:
    """Id, start and end of each link, which is a list or, in newer workflows, an object."""
    links = container.get("links")
    entries = links if isinstance(links, list) else list(links.values()) if isinstance(links, Mapping) else []
    for link in entries[:_LINK_LIMIT]:
        if isinstance(link, Mapping):
            link = [link.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
        if not isinstance(link, list) or len(link) < 5 or not isinstance(link[2], int) or not isinstance(link[4], int):
            continue
        yield key_of(link[0]), (key_of(link[1]), link[2]), (key_of(link[3]), link[4])


def _subgraph(subgraph: Mapping[str, Any]) -> Definition:
    links = list(_links(subgraph))
    inputs = [str(entry.get("name", "")) for entry in _mappings(subgraph.get("inputs"), _SLOT_LIMIT)]
    outward = {slot: key for key, _, (target, slot) in links if target == OUTPUT}
    count = len(list(_mappings(subgraph.get("outputs"), _SLOT_LIMIT)))
    outputs = [outward.get(slot) for slot in range(count)]
    found = Definition(_nodes(subgraph), {key: origin for key, origin, _ in links}, inputs, outputs)
    found.promoted = _promoted_inputs(found)
    return found


def _promoted(definition: Definition, holder: Node, values: list[Any]) -> Filled:
    """The values of a subgraph's promoted widgets: inputs that lead to a widget, or a list of widgets by name."""
    properties = holder.get("properties")
    proxies = properties.get("proxyWidgets") if isinstance(properties, Mapping) else None
    if isinstance(proxies, list) and len(proxies) == len(values):
        return _proxied(definition, proxies, values)
    found = widgets.align(definition.promoted, values)
    if found is None or len(values) < len(definition.promoted):
        return Filled(certain=False)
    return Filled(values=found)


def _promoted_inputs(definition: Definition) -> list[str]:
    """The inputs that lead to a widget of a node within, in order."""
    inward = {key: slot for key, (origin, slot) in definition.links.items() if origin == INPUT}
    leading = {
        inward[key]
        for node in definition.nodes.values()
        for slot in slots_of(node, "inputs")
        if "widget" in slot and (key := key_of(slot.get("link"))) in inward
    }
    return [name for slot, name in enumerate(definition.inputs) if slot in leading]


def _proxied(definition: Definition, proxies: list[Any], values: list[Any]) -> Filled:
    """Widgets of inner nodes that the outer node shows under their own names."""
    found = Filled()
    for proxy, value in islice(zip(proxies, values, strict=True), widgets.VALUE_LIMIT):
        if not isinstance(proxy, list) or len(proxy) < 2 or not isinstance(proxy[1], str) or value is None:
            continue
        key, name = key_of(proxy[0]), proxy[1]
        if key == "-1":
            found.values[name] = value
        elif (node := found.nodes.get(key, definition.nodes.get(key))) is not None:
            inputs, certain = widgets.named(node)
            found.certain &= certain
            found.nodes[key] = {**node, "widgets_values": {**inputs, name: value}}
    return found


def _shared_out(definition: Definition, values: list[Any]) -> Filled:
    """Share out the values of a group node among its inner nodes, of which some widgets may have become inputs."""
    for converted in (False, True):
        counts = {key: _widget_count(node, converted) for key, node in definition.nodes.items()}
        if sum(counts.values()) == len(values):
            return Filled(dict(_shares(definition, counts, values)))
    return Filled(certain=False)


def _shares(definition: Definition, counts: Mapping[str, int], values: list[Any]) -> Iterator[tuple[str, Node]]:
    position = 0
    for key, node in definition.nodes.items():
        own = values[position : position + counts[key]]
        position += counts[key]
        if own and len(own) == len(node["widgets_values"]):
            yield key, {**node, "widgets_values": own}
        elif own:
            yield key, {**node, "widgets_values": _merged(node, own)}


def _merged(node: Node, own: list[Any]) -> list[Any] | Mapping[str, Any]:
    """The values of a node of which some widgets became inputs: these keep what they had."""
    before, _ = widgets.named(node)
    converted = {name for name, _, _ in widgets.widget_inputs(node)}
    names = [name for name in before if name not in converted]
    return {**before, **(widgets.align(names, own) or {})}


def _widget_count(node: Node, converted: bool) -> int:
    values = node.get("widgets_values")
    if not isinstance(values, list):
        return 0
    names = [name for name, _, _ in widgets.widget_inputs(node)] if converted else []
    return max(0, len(values) - len(names) - widgets.control_count(names, values))


def _groups(workflow: Mapping[str, Any]) -> Iterator[tuple[str, Definition]]:
    extra = workflow.get("extra")
    held = extra.get("groupNodes") if isinstance(extra, Mapping) else None
    for name, group in islice(held.items() if isinstance(held, Mapping) else (), _DEFINITION_LIMIT):
        if isinstance(group, Mapping):
            yield name, _Grouping(group).definition()


class _Grouping:
    """A group node's definition, whose nodes are counted and whose links have no ids of their own."""

    def __init__(self, group: Mapping[str, Any]) -> None:
        listed = list(_mappings(group.get("nodes"), _LINK_LIMIT))
        self._nodes = {str(index): dict(node) for index, node in enumerate(listed)}
        self._config = group.get("config")
        self._found = Definition(grouped=True)
        self._inward: dict[tuple[str, int], tuple[str, int]] = {}
        for link in _lists(group.get("links"), 4):
            if link[0] is not None and isinstance(link[1], int) and isinstance(link[3], int):
                self._inward[key_of(link[2]), link[3]] = (key_of(link[0]), link[1])
        self._outward = set(self._inward.values())
        self._exposed = {
            (_index(link[0]), link[1]) for link in _lists(group.get("external"), 2) if isinstance(link[1], int)
        }

    def definition(self) -> Definition:
        """Number the links, and the inputs and outputs in the order in which the canvas shows them."""
        for converted in (False, True):  # widgets that became inputs come after all others
            for key, node in self._nodes.items():
                self._connect(key, node, converted)
        for key, node in self._nodes.items():
            self._found.nodes[key] = node
            self._lead_out(key, node)
        return self._found

    def _connect(self, key: str, node: dict[str, Any], converted: bool) -> None:
        slots = node["inputs"] = [dict(slot) for slot in slots_of(node, "inputs")]
        for position, slot in enumerate(slots):
            if ("widget" in slot) != converted:
                continue
            link = f"{key}.{position}"
            slot["link"] = link
            if (origin := self._inward.get((key, position))) is not None:
                self._found.links[link] = origin
            elif self._is_inner(key, node):
                slot["link"] = None
            else:
                self._found.links[link] = (INPUT, len(self._found.inputs))
                self._found.inputs.append(self._name(key, node, slot))

    def _is_inner(self, key: str, node: Node) -> bool:
        """Whether a reroute is used within the group alone, so that it shows no input."""
        return node.get("type") == "Reroute" and (key, 0) in self._inward

    def _name(self, key: str, node: Node, slot: Mapping[str, Any]) -> str:
        config = self._settings(key, "input", str(slot.get("name")))
        name = config.get("name") or slot.get("label") or slot.get("name")
        if name in self._found.inputs:
            name = f"{node.get('title') or node.get('type')} {slot.get('name')}"
        return name if isinstance(name, str) and node.get("type") != "Reroute" else str(config.get("name", ""))

    def _lead_out(self, key: str, node: Node) -> None:
        for slot, _ in enumerate(slots_of(node, "outputs")):
            shown = (key, slot) not in self._outward or (key, slot) in self._exposed
            if self._settings(key, "output", str(slot)).get("visible", shown):
                link = f"{key}>{slot}"
                self._found.links[link] = (key, slot)
                self._found.outputs.append(link)

    def _settings(self, key: str, side: str, name: str) -> Mapping[str, Any]:
        found: Any = self._config
        for step in (key, side, name):
            found = found.get(step) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def _lists(values: Any, length: int) -> list[list[Any]]:
    entries = values[:_LINK_LIMIT] if isinstance(values, list) else []
    return [entry for entry in entries if isinstance(entry, list) and len(entry) >= length]


def _index(value: Any) -> str:
    """The number of a node, which some versions saved as the whole node."""
    return key_of(value.get("index") if isinstance(value, Mapping) else value)
