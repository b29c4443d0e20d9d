"""What a folder can do, wherever it lies, and what goes wrong there.

Names are relative to the folder, with "/" between their parts. A small protocol stands where otherwise each reader and
writer would ask which store it talks to.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or an object: its name below the folder, its size in bytes, and when it was written, by the store's clock.

    `modified_s` is in seconds since 1970, or None where the store does not say.
    """

    name: str
    size: int
    modified_s: float | None = None


class Folder(Protocol):
    """A folder of files or objects. Safe to use from several threads.

    Every method raises LocationError, whose kind is "not-found" for an object that is not there, "unreadable" for one
    without permission, "no-credentials" where nothing else will work, either.
    """

    @property
    def address(self) -> str:
        """The folder's path or address, without credentials."""

    @property
    def shown(self) -> str:
        """The address as messages show it."""

    def pages(self, prefix: str = "") -> Iterator[list[Entry]]:
        """Everything below the folder whose name begins with `prefix`, a page at a time; a missing folder has none.

        A store lists in the order of its keys' bytes, a local folder in that of its names, folder by folder. Hidden
        files are listed; folders are not. Memory holds one page or, on a local disk, the names of one folder.
        """

    def entry(self, name: str) -> Entry | None:
        """One file; None if it is not there."""

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file, by one request; too-large if there are more than `limit`."""

    def open(self, name: str, size: int | None = None) -> io.BufferedReader:
        """A file to read from front to back or by seeking, in pieces of megabytes; a known size saves a request."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole: others see either the old one or the new one."""

    def upload(self, name: str, path: str) -> None:
        """Write a local file as a whole, of whatever size: others see either the old one or the new one."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless it is there; returns whether this call did. Of several machines, only one does.

        `data` must name its writer: a request whose answer got lost is sent again, and what is there then counts as
        ours if it is the same.
        """

    def check_creates(self) -> None:
        """Raise LocationError if `create` cannot be trusted here; on a store, found out with an object of its own."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
