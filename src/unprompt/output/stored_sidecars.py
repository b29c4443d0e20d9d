"""Writes sidecars into an object store: a .txt with the prompt for each picture, in the same tree of folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from unprompt.display import one_line
from unprompt.errors import DataError, LocationError, PictureError
from unprompt.locations.location import folder_at

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.output.sidecars import Existing

_SUFFIX = ".txt"
_FOR_ONE = ("too-large", "not-found")


class StoredSidecars:
    """The sidecars of one run below an address.

    `existing` is "skip", for which the folder is listed once, or "overwrite". Adding to a text would read and replace
    it, between which another machine may write: that is refused. Memory holds 64 bits for every picture and sidecar.
    """

    def __init__(self, address: str, existing: Existing = "skip") -> None:
        if existing not in ("skip", "overwrite"):
            raise DataError(
                f"expected --existing skip or overwrite in a store, found {existing}, which could lose what another "
                "machine writes; write the sidecars to a folder on this machine and copy them"
            )
        self._folder = folder_at(address)
        self._taken: dict[int, int] = {}  # hash of a sidecar's name -> hash of its picture's source
        self._kept: set[int] = set()
        for page in self._folder.pages() if existing == "skip" else ():
            self._kept.update(hash(entry.name) for entry in page if entry.size)

    def wanted(self, ref: ImageRef) -> bool:
        """Whether the picture needs an answer. Raises PictureError: no-place, same-sidecar."""
        return hash(self._take(ref)) not in self._kept

    def write(self, ref: ImageRef, text: str) -> None:
        """Write the picture's sidecar, one line. Raises PictureError as `wanted` does, LocationError."""
        name = self._take(ref)
        if hash(name) in self._kept:
            return
        try:
            self._folder.write(name, one_line(text).encode("utf-8", "replace"))
        except LocationError as error:
            if error.kind not in _FOR_ONE:
                raise  # the next ones would fail, too
            raise PictureError("unwritable", str(error)) from error

    def _take(self, ref: ImageRef) -> str:
        if not ref.below:
            raise PictureError("no-place", "expected a picture with a name, to name its sidecar, found one without")
        name = os.path.splitext(ref.below)[0] + _SUFFIX
        if self._taken.setdefault(hash(name), hash(ref.source)) != hash(ref.source):
            raise PictureError(
                "same-sidecar",
                "another picture of this run has the same sidecar; rename one of the two, or give them other folders",
            )
        return name
