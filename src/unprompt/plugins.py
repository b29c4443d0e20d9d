"""What other packages add: objects that they name in a group of entry points, such as `unprompt.members`.

Entry points are Python's own register of such objects: a package lists them in its pyproject.toml, and they are found
wherever it is installed. Nothing of a package is imported before one of its names is asked for.
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
    """An object that a package adds to one of our groups; `package` is that package's name and version."""

    entry: EntryPoint
    package: str

    def load(self, kind: type | None = None) -> Any:
        """The object. Raises PluginError where it cannot be imported or, given a `kind`, is not of that class."""
        with self.blamed():
            found = self.entry.load()
            if kind is not None and not isinstance(found, kind):
                raise TypeError(f"it is a {type(found).__name__}, not a {kind.__name__}")
        return found

    @contextlib.contextmanager
    def blamed(self, *, may_raise: tuple[type[Exception], ...] = (UnpromptError,)) -> Iterator[None]:
        """Around code of the package: whatever else it raises becomes a PluginError."""
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
    """What the installed packages add to a group, by name. Looked up once per process.

    A package whose list cannot be read, and the second of two that use one name, are left out with a warning.
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
        # Most packages add nothing to us: their lists are not parsed, nor is what else they say of themselves.
        if f"[{group}]" not in (distribution.read_text("entry_points.txt") or ""):
            return []
        package = f"{distribution.metadata['Name']} {distribution.version}"
        return [Plugin(entry, package) for entry in distribution.entry_points if entry.group == group]
    except Exception as error:
        place = getattr(distribution, "_path", "a package")  # its name may be what cannot be read
        _log.warning("%s: the entry points of %s cannot be read: %s", group, place, error)
        return []
