"""Errors that a user can cause or fix.

Each message says what was expected, what was found and what to do next; each class has its exit code and HTTP status.
Any other exception is a bug of unprompt: exit code 1, status 500.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping

EXIT_FINE = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130

EXTRAS: Mapping[str, str] = {"torch": "torch", "serve": "uvicorn", "ray": "ray"}
"""The extras that are checked before anything is imported, each with a module that it installs."""


class UnpromptError(Exception):
    """A request that cannot be carried out as it was made."""

    exit_code = EXIT_USAGE
    http_status = 400


class UnknownNameError(UnpromptError):
    """An unknown name; the message suggests the nearest known one."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        choices = sorted(known)
        near = difflib.get_close_matches(name, choices, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(choices) or 'none'}"
        super().__init__(f"unknown {what} {name!r}; {hint}")


class MissingExtraError(UnpromptError):
    """A feature needs packages that only an extra installs."""

    http_status = 501

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'unprompt[{extra}]'")


@contextlib.contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Turn an import error inside the block into MissingExtraError, unless a module of unprompt itself is missing.

    `what` is the feature that needs the import.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "unprompt":
            raise
        raise MissingExtraError(what, extra) from error


def check_extra(extra: str, what: str) -> None:
    """Raise MissingExtraError if an extra is not installed; `what` needs it. Nothing is imported."""
    try:
        is_installed = importlib.util.find_spec(EXTRAS[extra]) is not None
    except (ImportError, ValueError):  # ValueError: the module's spec is None
        is_installed = False
    if not is_installed:
        raise MissingExtraError(what, extra)


class PluginError(UnpromptError):
    """A plugin of another package cannot be imported, or fails."""


class ModelError(UnpromptError):
    """A model folder is missing, incomplete or damaged."""

    http_status = 503


class NoRoomError(ModelError):
    """The device has too little memory for a model. `ways` says what to do other than freeing memory."""

    def __init__(self, what: str, ways: str | None = None) -> None:
        ways = ways or "hide it (CUDA_VISIBLE_DEVICES=)"
        super().__init__(f"the device has no room for {what}; free its memory or {ways}")


class DataError(UnpromptError):
    """A data file, recipe or preset has wrong content."""


class PictureError(UnpromptError):
    """A picture that cannot be read; it becomes a `Failure`.

    `kind` is one of a few fixed words. Of what is read: not-found, no-pictures, not-a-picture, truncated, too-large,
    unreadable, missing-extra, changed (while it was read), deadly (it ended one worker of a run after the other). Of
    copies without texts: hidden-text. Of addresses: bad-url, forbidden-address, offline, timeout, unreachable,
    too-many-redirects. Of sidecars and copies: no-place, same-sidecar, unwritable.
    """

    exit_code = EXIT_SOME_FAILED
    http_status = 422

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
