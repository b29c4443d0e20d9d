"""Plugins: objects that other packages offer through entry points, such as those of the group `unprompt.members`.

A package lists its entry points in its pyproject.toml, and Python finds those of every installed package. A package is
imported only when one of its plugins is used.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unprompt.errors import PluginError, UnpromptError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point of another package; `package` is that package's name and version."""

    entry: EntryPoint
    package: str

    def load(self, kind: type | None = None) -> Any:
        """Import the object. Raises PluginError if that fails, or if it is not an instance of `kind`."""
        with self.blamed():
            found = self.entry.load()
            if kind is not None and not isinstance(found, kind):
                raise TypeError(f"it is a {type(found).__name__}, not a {kind.__name__}")
        return found

    @contextlib.contextmanager
    def blamed(self, *, may_raise: tuple[type[Exception], ...] = (UnpromptError,)) -> Iterator[None]:
        """Run the package's code in this block: any exception but those of `may_raise` becomes a PluginError."""
        try:
            yield
        except may_raise:
            raise
        except Exception as error:
            raise PluginError(
                f"expected {self.entry.value} of the package {self.package} to work as {self.entry.group} "
                f"{self.entry.name!r}, found {type(error).__name__}: {error}; update the package or uninstall it"
            ) from error


@functools.cache
def find_plugins(group: str) -> Mapping[str, Plugin]:
    """Find the plugins of all installed packages in a group, by name; looked up once per process.

    A warning is logged for a package whose entry points cannot be read, and for a name that two packages use, of which
    the first wins.
    """
    from importlib.metadata import distributions

    found: dict[str, Plugin] = {}
    for distribution in distributions():
        for plugin in _plugins_of(distribution, group):
            first = found.setdefault(plugin.entry.name, plugin)
            if first.package != plugin.package:
                _log.warning("%s: %r of %s hides that of %s", group, plugin.entry.name, first.package, plugin.package)
    return dict(sorted(found.items()))


def _plugins_of(distribution: Distribution, group: str) -> list[Plugin]:
    try:
        # Most packages have no plugin: neither their entry points nor their metadata are parsed.
        if f"[{group}]" not in (distribution.read_text("entry_points.txt") or ""):
            return []
        package = f"{distribution.metadata['Name']} {distribution.version}"
        return [Plugin(entry, package) for entry in distribution.entry_points if entry.group == group]
    except Exception as error:
        place = getattr(distribution, "_path", "a package")  # the package's name may be unreadable, too
        _log.warning("%s: the entry points of %s cannot be read: %s", group, place, error)
        return []
