"""Finds kinds of members by name: built-in ones, and those of other packages."""

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
    "server": "unprompt.members.server:KIND",
    "tagger": "unprompt.members.tagger:KIND",
}
"""The built-in kinds. Each is imported only when a preset names it, because its own imports may take long."""

GROUP = "unprompt.members"
"""The entry point group for kinds of other packages. A built-in kind cannot be replaced."""


def find_kind(name: str, where: str = "a preset") -> MemberKind[Any]:
    """Find a kind by name; `where` says in an error where the name stands.

    Raises UnknownNameError, and PluginError if another package's kind cannot be imported or is not a MemberKind.
    """
    if name in KINDS:
        kind: MemberKind[Any] = pkgutil.resolve_name(KINDS[name])
        return kind
    plugins = find_plugins(GROUP)
    if name not in plugins:
        raise UnknownNameError(f"kind in {where}", name, [*KINDS, *plugins])
    return _blamed(plugins[name].load(MemberKind), plugins[name])


def open_member(spec: MemberSpec[Any], threads: int = 0) -> Member:
    """Make the member that a preset describes; nothing is loaded yet. Raises what its kind's `open` raises."""
    return find_kind(spec.kind).open(spec, threads)


def needs_of(spec: MemberSpec[Any]) -> Sequence[Need]:
    """List what a member needs on disk.

    Raises UnknownNameError for an unknown model, MissingExtraError if only open_clip could know it.
    """
    return find_kind(spec.kind).needs(spec)


def _blamed(kind: MemberKind[Any], plugin: Plugin) -> MemberKind[Any]:
    """Wrap a kind of another package, so that its errors name that package."""

    def open_member(spec: MemberSpec[Any], threads: int) -> Any:
        with plugin.blamed():
            return _Blamed(kind.open(spec, threads), plugin)

    return replace(kind, open=open_member, needs=plugin.blamed()(kind.needs))


class _Blamed:
    """A member of another package, whose errors name that package."""

    def __init__(self, member: Member, plugin: Plugin) -> None:
        self._member = member
        self._plugin = plugin

    def __getattr__(self, name: str) -> Any:
        with self._plugin.blamed():
            found = getattr(self._member, name)
        return self._plugin.blamed()(found) if callable(found) else found
