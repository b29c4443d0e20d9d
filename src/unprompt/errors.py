"""Errors that a user can cause or fix.

Each message says what was expected, what was found and what to do next; each class has its exit code and HTTP status.
Any other exception is a bug of unprompt (exit code 1, status 500) or of the program that calls it: an argument of the
wrong type raises TypeError, one of the wrong value ValueError.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from unprompt.display import printable

__all__ = [
    "ChatError",
    "ClusterError",
    "DataError",
    "JournalBusyError",
    "LocationError",
    "MissingExtraError",
    "ModelError",
    "NoRoomError",
    "NodeError",
    "OutOfReachError",
    "OutputBusyError",
    "OutputFullError",
    "PictureError",
    "PluginError",
    "UnknownNameError",
    "UnpromptError",
]

EXIT_FINE = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130

EXTRAS: Mapping[str, str] = {"torch": "torch", "serve": "uvicorn", "ray": "ray"}
"""The extras that are checked before anything is imported, each with a module that it installs."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody who wrote `name` most likely meant; None if none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


class UnpromptError(Exception):
    """A request that cannot be carried out as it was made."""

    exit_code = EXIT_USAGE
    http_status = 400


class UnknownNameError(UnpromptError):
    """An unknown name; the message suggests the nearest known one."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        choices = sorted(known)
        near = nearest(name, choices)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(choices) or 'none'}"
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


class OutOfReachError(ModelError):
    """The hub did not answer."""

    def __init__(self, what: str, fault: str) -> None:
        super().__init__(
            f"{what} cannot be had: the hub is out of reach ({fault}); try again, or add --offline "
            "(HF_HUB_OFFLINE=1), which says at once all that is missing"
        )


class ChatError(ModelError):
    """A chat server cannot answer; `is_lasting` says that other pictures would fare the same."""

    def __init__(self, message: str, *, is_lasting: bool) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting


class DataError(UnpromptError):
    """A data file, recipe or preset has wrong content, or a file cannot be read or written."""


class OutputBusyError(DataError):
    """Another process is writing the same file."""

    def __init__(self, path: str) -> None:
        super().__init__(f"another unprompt is writing {printable(path)}; wait for it or choose another -o")


class OutputFullError(DataError):
    """The disk, the quota or the largest size of a file is exhausted: nothing more can be written there."""


class JournalBusyError(DataError):
    """Another process, or another part of this one, is using the journal."""

    def __init__(self, path: str) -> None:
        super().__init__(f"another unprompt is using {printable(path)}; wait for it or choose another -o")


Trouble: TypeAlias = Literal[
    "not-found",
    "unreadable",
    "too-large",
    "unreachable",
    "timeout",
    "offline",
    "missing-extra",
    "bad-url",
    "no-credentials",
]
"""What is wrong with a place, in the words of PictureError; "no-credentials": they are missing or refused."""


class LocationError(DataError):
    """A folder or an object that cannot be read or written, with the kind of trouble."""

    def __init__(self, kind: Trouble, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ClusterError(UnpromptError):
    """A Ray cluster cannot do what it is asked for."""


class NodeError(UnpromptError):
    """What a node of a cluster refused to do, with the exit code of the error there."""

    def __init__(self, message: str, exit_code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


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
