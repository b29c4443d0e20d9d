"""The kinds of members by name: our own, and those that other packages add."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from unprompt.errors import UnknownNameError
from unprompt.members.member import Member, MemberKind, MemberSpec
from unprompt.models.store.needs import Need
from unprompt.plugins import Plugin, find_plugins

KINDS: Mapping[str, str] = {
    "captioner": "unprompt.members.captioner:KIND",
    "interrogator": "unprompt.members.interrogator:KIND",
    "neighbours": "unprompt.members.neighbours:KIND",
    "regressor": "unprompt.members.regressor:KIND",
}
"""Our own. Each is imported when a preset first names it: what one kind needs, the others do not wait for."""

GROUP = "unprompt.members"
"""The entry points of other packages' kinds. None takes the place of one of ours."""


def find_kind(name: str, where: str = "a preset") -> MemberKind[Any]:
    """The kind of that name; `where` tells in an error who asked.

    Raises UnknownNameError, and PluginError for a package whose kind cannot be imported or is none.
    """
    if name in KINDS:
        kind: MemberKind[Any] = pkgutil.resolve_name(KINDS[name])
        return kind
    plugins = find_plugins(GROUP)
    if name not in plugins:
        raise UnknownNameError(f"kind in {where}", name, [*KINDS, *plugins])
    return _blamed(plugins[name].load(MemberKind), plugins[name])


def open_member(spec: MemberSpec[Any], threads: int = 0) -> Member:
    """The member that a preset describes; nothing is loaded yet. Raises what its kind's `open` does."""
    return find_kind(spec.kind).open(spec, threads)


def needs_of(spec: MemberSpec[Any]) -> Sequence[Need]:
    """Each thing that a member needs on the disk.

    Raises UnknownNameError for a model that nobody knows, MissingExtraError where only open_clip knows it.
    """
    return find_kind(spec.kind).needs(spec)


def _blamed(kind: MemberKind[Any], plugin: Plugin) -> MemberKind[Any]:
    """The kind of another package, whose faults are told as that package's and not as ours."""

    def open_member(spec: MemberSpec[Any], threads: int) -> Any:
        with plugin.blamed():
            return _Blamed(kind.open(spec, threads), plugin)

    return replace(kind, open=open_member, needs=plugin.blamed()(kind.needs))


class _Blamed:
    """A member of another package."""

    def __init__(self, member: Member, plugin: Plugin) -> None:
        self._member = member
        self._plugin = plugin

    def __getattr__(self, name: str) -> Any:
        with self._plugin.blamed():
            found = getattr(self._member, name)
        return self._plugin.blamed()(found) if callable(found) else found
