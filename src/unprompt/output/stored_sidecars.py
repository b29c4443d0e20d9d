"""Writes sidecars into an object store: a file with the prompt for each picture, in the same tree of folders."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from unprompt.errors import DataError, LocationError, PictureError
from unprompt.locations.location import folder_at
from unprompt.output.sidecar_kinds import SIDECAR_SUFFIXES, Existing, SidecarSuffix
from unprompt.output.sidecar_texts import (
    SIDECAR_LIMIT_BYTES,
    content_of,
    is_caption,
    plain,
)

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.output.records import Record

_FOR_ONE = ("too-large", "not-found")


class StoredSidecars:
    """The sidecars of one run below an address.

    `existing` is "skip", for which the folder is listed once, or "overwrite". Adding to a text would read and replace
    it, between which another machine may write: that is refused. `others` counts the pictures that are passed over for
    a text of another kind, by its suffix. Memory holds 64 bits for every picture and sidecar.
    """

    def __init__(self, address: str, existing: Existing = "skip", suffix: SidecarSuffix = ".txt") -> None:
        if existing not in ("skip", "overwrite"):
            raise DataError(
                f"expected --existing skip or overwrite in a store, found {existing}, which could lose what another "
                "machine writes; write the sidecars to a folder on this machine and copy them"
            )
        self._folder = folder_at(address)
        self._suffix = suffix
        self.others: Counter[str] = Counter()
        self._taken: dict[int, int] = {}  # hash of a sidecar's name -> hash of its picture's source
        self._kept: set[int] = set()
        for page in self._folder.pages() if existing == "skip" else ():
            self._kept.update(hash(entry.name) for entry in page if entry.size)

    def wanted(self, ref: ImageRef) -> bool:
        """Whether the picture needs an answer. Raises PictureError: no-place, same-sidecar."""
        name = self._take(ref)
        if hash(name) in self._kept:
            return False
        if (other := self._other(name)) is not None:
            self.others[other] += 1
        return other is None

    def write(self, ref: ImageRef, text: str, record: Record | None = None) -> None:
        """Write the picture's sidecar, one line; a .json holds the `record`, too.

        Raises PictureError as `wanted` does, LocationError.
        """
        name = self._take(ref)
        if hash(name) in self._kept or self._other(name) is not None:
            return
        try:
            self._folder.write(name, content_of(plain(text), record, self._suffix).encode())
        except LocationError as error:
            if error.kind not in _FOR_ONE:
                raise  # the next ones would fail, too
            raise PictureError("unwritable", str(error)) from error

    def _other(self, name: str) -> str | None:
        """The suffix of the picture's text of another kind; None if there is none."""
        stem = os.path.splitext(name)[0]
        for suffix in SIDECAR_SUFFIXES:
            if suffix == self._suffix or hash(stem + suffix) not in self._kept:
                continue
            if is_caption(self._content(stem + suffix), suffix):
                return suffix
        return None

    def _content(self, name: str) -> str:
        try:
            return self._folder.read(name, SIDECAR_LIMIT_BYTES).decode("utf-8", "replace")
        except LocationError as error:
            if error.kind not in _FOR_ONE:
                raise
            return ""

    def _take(self, ref: ImageRef) -> str:
        if not ref.below:
            raise PictureError("no-place", "expected a picture with a name, to name its sidecar, found one without")
        name = os.path.splitext(ref.below)[0] + self._suffix
        if self._taken.setdefault(hash(name), hash(ref.source)) != hash(ref.source):
            raise PictureError(
                "same-sidecar",
                "another picture of this run has the same sidecar; rename one of the two, or give them other folders",
            )
        return name
