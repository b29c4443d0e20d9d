"""Nodes that hand on one of their inputs: switches, first-of-several, reroutes. They carry anything.

Switches differ in names alone, so they are read by the names of their inputs: something that selects, by number or by
yes and no, and what is selected, `text1`, `text2` or `on_true`, `on_false`. Sources: ComfySwitchNode of ComfyUI,
ImpactSwitch, CR .. Input Switch, easy ..IndexSwitch, WAS .. Input Switch, Any Switch (rgthree), Logic's If nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unprompt.images.metadata.comfyui.calls import Evaluator
from unprompt.images.metadata.comfyui.graph import Node, containing, link
from unprompt.images.metadata.comfyui.values import as_number

_SWITCH = containing(
    r"switch|conditionalbranch|ifelse|^if|ternary|^selectinput|inputselector|multiplexer|^mux|lazyconditional|anyselector"
)
_FIRST = containing(r"anyswitch(?:rgthree)?$|contextswitch|firstnon|coalesce|anynonnull|contextmerge|^or$|ifnone$")
_INVERSED = containing(r"inversedswitch|outputswitch")
_PASSING = re.compile(r"^(?:reroute|reroutenode|pass|passthrough|anythingpass|pipepass|reroutetextforgpt|nop|noop)")
_SELECTORS = (
    *("select", "index", "Input", "input", "switch", "boolean", "cond", "condition", "ANY", "bool", "selected"),
    *("select_input", "selector", "choice", "A or B", "use_a", "active", "enabled", "enable", "value_bool"),
)
_PAIRS = (
    *(("on_true", "on_false"), ("tt_value", "ff_value"), ("IF_TRUE", "IF_FALSE"), ("if_true", "if_false")),
    *(("true_value", "false_value"), ("true", "false"), ("when_true", "when_false"), ("a", "b"), ("A", "B")),
)
_NUMBERED = re.compile(r"(.*?)_?0*(\d{1,6})$")


@dataclass(frozen=True, slots=True)
class Choice:
    """The names of the inputs that are handed on: one, or several if the file does not tell which."""

    names: tuple[str, ...]

    @property
    def certain(self) -> bool:
        return len(self.names) <= 1


def choose(evaluator: Evaluator, node: Node, output: int) -> Choice | None:
    """The inputs that the node hands on as they are to one of its outputs; None if it is no switch or reroute."""
    if _PASSING.match(node.name):
        return Choice(tuple(node.inputs)[:1])
    if _INVERSED(node.name):
        return _sent(evaluator, node, output)
    if _FIRST(node.name):
        return Choice(tuple(_connected(evaluator, node))[:1])
    if _SWITCH(node.name):
        return _switched(evaluator, node)
    return None


def _sent(evaluator: Evaluator, node: Node, output: int) -> Choice:
    """What an inversed switch hands on: its input, to the output that is selected alone."""
    base, name = (1, "select") if "select" in node.inputs else (0, "index")
    selected = as_number(evaluator.input(node, name)) if name in node.inputs else None
    if selected is not None and output >= 0 and output != int(selected) - base:
        return Choice(())
    return Choice(tuple(name for name in ("input", "in", "value", "any") if name in node.inputs)[:1])


def _connected(evaluator: Evaluator, node: Node) -> Iterator[str]:
    """What is there, in the order of the names' numbers."""
    named = [name for name, value in node.inputs.items() if value not in (None, "")]
    for name in sorted(named, key=_number):
        value = node.inputs[name]
        if link(value) is None or evaluator.graph.source(value) is not None:
            yield name


def _switched(evaluator: Evaluator, node: Node) -> Choice | None:
    named = [value for value in node.inputs.values() if isinstance(value, str) and link(node.inputs.get(value))]
    if named:
        return Choice((named[0],))
    selector = next((name for name in _SELECTORS if _selects(evaluator, node, name)), None)
    branches = [name for name in _connected(evaluator, node) if name != selector and _is_branch(node, name)]
    if selector is None:
        return Choice(tuple(branches))
    number = as_number(evaluator.input(node, selector))
    pair = _pair(node, branches)
    if number is None:
        return Choice(tuple(pair or branches))
    if pair and not (isinstance(number, int) and not isinstance(number, bool) and number > 1):
        chosen = pair[0] if number else pair[1]
        return Choice((chosen,) if chosen in node.inputs else tuple(name for name in pair if name in node.inputs)[:1])
    numbered = [name for name in branches if _number(name) == int(number)]
    return Choice(tuple(numbered) or (() if any(_NUMBERED.match(name) for name in branches) else tuple(branches)))


def _selects(evaluator: Evaluator, node: Node, name: str) -> bool:
    """Whether an input can select: a number, yes or no, or a link to a node that may tell."""
    value = node.inputs.get(name)
    if isinstance(value, (bool, int, float)):
        return True
    if isinstance(value, str):
        return as_number(evaluator.input(node, name)) is not None
    return link(value) is not None


def _is_branch(node: Node, name: str) -> bool:
    value = node.inputs[name]
    return link(value) is not None or (isinstance(value, str) and _NUMBERED.match(name) is not None) or name in _NAMES


_NAMES = {name for pair in _PAIRS for name in pair}


def _pair(node: Node, branches: Sequence[str]) -> tuple[str, str] | None:
    """The inputs for yes and for no."""
    for yes, no in _PAIRS:
        if yes in node.inputs or no in node.inputs:
            return yes, no
    ends = {name[-2:]: name for name in branches if name[-2:] in ("_a", "_b")}
    return (ends["_a"], ends["_b"]) if len(ends) == 2 and len(branches) == 2 else None


def _number(name: str) -> int:
    numbered = _NUMBERED.match(name)
    return int(numbered[2]) if numbered else 0
