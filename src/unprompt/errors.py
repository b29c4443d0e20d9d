"""Errors that a user can cause or mend.

Each says what was expected, what was found and what to do next, and knows the exit code of the command line and the
HTTP status of the service. Whatever is not an `UnpromptError` is a fault of ours: exit code 1, status 500.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator

EXIT_FINE = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130


class UnpromptError(Exception):
    """What was asked for cannot be done as it was asked for."""

    exit_code = EXIT_USAGE
    http_status = 400


class UnknownNameError(UnpromptError):
    """A name that nothing goes by; the message offers the nearest known one."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        choices = sorted(known)
        near = difflib.get_close_matches(name, choices, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(choices) or 'none'}"
        super().__init__(f"unknown {what} {name!r}; {hint}")


class MissingExtraError(UnpromptError):
    """Something needs a package that the core does not bring."""

    http_status = 501

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'unprompt[{extra}]'")


@contextlib.contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Around an import for the sake of `what`: one that lacks a package, and not a module of ours, lacks the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "unprompt":
            raise
        raise MissingExtraError(what, extra) from error


class ModelError(UnpromptError):
    """A model folder is missing, incomplete or damaged."""

    http_status = 503


class NoRoomError(ModelError):
    """The device's memory cannot hold what a model needs; `ways` are what to do beside freeing it."""

    def __init__(self, what: str, ways: str = "hide it (CUDA_VISIBLE_DEVICES=)") -> None:
        super().__init__(f"the device has no room for {what}; free its memory or {ways}")


class DataError(UnpromptError):
    """A data file, recipe or preset does not hold what its kind of file must hold."""


class PictureError(UnpromptError):
    """One picture cannot be read; becomes a `Failure` of that picture.

    `kind` is one of a few fixed words. Of what is read: not-found, no-pictures, not-a-picture, truncated, too-large,
    unreadable, changed (while it was read). Of addresses: bad-url, forbidden-address, offline, timeout, unreachable,
    too-many-redirects. Of sidecars: no-place, same-sidecar, unwritable.
    """

    exit_code = EXIT_SOME_FAILED
    http_status = 422

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
