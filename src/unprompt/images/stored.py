"""Pictures in object stores, at addresses such as s3://BUCKET/DIR: single ones, folders, patterns and tars.

A picture is read by one request, a list by one for each thousand names, a tar in pieces of a few megabytes. Nothing is
held but the page that is being read.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from unprompt.errors import LocationError, PictureError
from unprompt.images.archives import UNPACKED_LIMIT_MB, Plain, members
from unprompt.images.files import FILE_LIMIT_MB, Unavailable, check_size
from unprompt.images.folders import EVERYTHING, Pattern
from unprompt.images.formats import ARCHIVE_SUFFIXES, PICTURE_SUFFIXES
from unprompt.images.ref import ImageRef, relative_name
from unprompt.images.selection import Selection
from unprompt.locations.address import masked, parted
from unprompt.locations.folder import Entry, Folder
from unprompt.locations.location import folder_at

_WILDCARD = re.compile(r"[*?\[]")
_LIMIT = FILE_LIMIT_MB * 1_000_000
_FOR_ALL = ("no-credentials", "missing-extra")
"""What is wrong with every other picture as well, and so ends the run."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A picture in a store. `size` is None if it was named, and not found in a list."""

    folder: Folder
    name: str
    size: int | None = None

    @property
    def size_mb(self) -> float:
        """The object's size; 0 if it is not known."""
        return (self.size or 0) / 1_000_000

    @property
    def is_distant(self) -> bool:
        """It is worth while to fetch it ahead."""
        return True

    def read(self) -> bytes:
        """Read the object by one request. Safe to call from many threads.

        Raises PictureError: not-found, unreadable, too-large, unreachable, timeout, offline; and LocationError for what
        is wrong with every picture of the store, such as missing credentials.
        """
        check_size(self.size or 0)
        with _picture_errors():
            return self.folder.read(self.name, _LIMIT)


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A picture in a tar in a store that is too large to be held until its turn: `size` bytes at `offset`."""

    folder: Folder
    name: str
    offset: int
    size: int

    @property
    def size_mb(self) -> float:
        """The picture's size."""
        return self.size / 1_000_000

    @property
    def is_distant(self) -> bool:
        """It is worth while to fetch it ahead."""
        return True

    def read(self) -> bytes:
        """Read the picture's bytes. Raises as `StoredObject` does."""
        check_size(self.size)
        with _picture_errors(), self.folder.open(self.name, self.offset + self.size) as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """A tar of `size` bytes in a store."""

    folder: Folder
    name: str
    path: str
    size: int

    @contextlib.contextmanager
    def opened(self) -> Iterator[io.BufferedReader]:
        """The tar, read in pieces. Raises PictureError, and LocationError as `StoredObject` does."""
        with _picture_errors(), self.folder.open(self.name, self.size) as file:
            yield file

    def plain(self, file: io.BufferedReader) -> Plain:
        """The stream of the tar; its pictures are read as they pass, since they are in the pieces already."""
        return Plain(file, self.size, self._part, at_once_mb=UNPACKED_LIMIT_MB)

    def _part(self, offset: int, size: int) -> StoredPart:
        return StoredPart(self.folder, self.name, offset, size)


def refs_at(address: str, selection: Selection, *, in_list: bool = False) -> Iterator[ImageRef]:
    """Yield the pictures at an address, in the store's order, which is that of their names' bytes.

    An address with a wildcard is a pattern, as for files; one that ends in a picture's suffix is an object, in an
    archive's a tar; any other is a folder or, if nothing is in it, an object. In a list, a name with a picture's suffix
    is an object whatever signs are in it.

    Raises LocationError if a folder cannot be listed at all, unless a list names it; what fails later, or in a list, is
    yielded as a picture that fails.
    """
    try:
        yield from _refs_at(address, selection, in_list)
    except LocationError as error:
        if not in_list or error.kind in _FOR_ALL:
            raise
        yield ImageRef(masked(address), Unavailable(error.kind, str(error)))


def check(address: str) -> None:
    """List the first names of a folder or a pattern. Raises LocationError if that is not possible."""
    found = _found_at(address, in_list=False)
    if not found.name:
        next(found.folder.pages(found.prefix), None)


@dataclass(frozen=True, slots=True)
class _Found:
    """What an address means: one object `name`, or else what a `pattern` (default: all pictures) covers in a folder."""

    folder: Folder
    name: str = ""
    pattern: tuple[str, ...] | None = None
    prefix: str = ""


def _found_at(address: str, *, in_list: bool) -> _Found:
    ending = os.path.splitext(parted(address)[1])[1].lower()
    wildcard = None if in_list and ending in PICTURE_SUFFIXES else _WILDCARD.search(address)
    if wildcard is not None:
        root = address[: address.rfind("/", 0, wildcard.start()) + 1]
        parts = tuple(part for part in address[len(root) :].split("/") if part)
        return _Found(folder_at(root), pattern=parts, prefix=address[len(root) : wildcard.start()])
    if ending in PICTURE_SUFFIXES or address.lower().endswith(ARCHIVE_SUFFIXES):
        folder, name = parted(address)
        return _Found(folder_at(folder), name)
    return _Found(folder_at(address))


def _refs_at(address: str, selection: Selection, in_list: bool) -> Iterator[ImageRef]:
    found = _found_at(address, in_list=in_list)
    if found.name:
        yield from _object(found.folder, found.name, masked(address), in_list=in_list)
        return
    pattern = Pattern(found.pattern or EVERYTHING, selection)
    empty = True
    for entry in _entries(found.folder, found.prefix):
        if isinstance(entry, ImageRef):
            yield entry
        elif pattern.covers(entry.name):
            yield from _listed(found.folder, entry)
        else:
            continue
        empty = False
    if empty:
        yield from _single_or_nothing(address, found, selection)


def _entries(folder: Folder, prefix: str) -> Iterator[Entry | ImageRef]:
    """What a folder holds; if the list breaks off after its first page, a picture that fails in place of the rest."""
    pages = folder.pages(prefix)
    yield from next(pages, [])
    try:
        for page in pages:
            yield from page
    except LocationError as error:
        if error.kind in _FOR_ALL:
            raise
        yield ImageRef(folder.address, Unavailable(error.kind, str(error)))


def _listed(folder: Folder, entry: Entry) -> Iterator[ImageRef]:
    """The picture or the tar of an entry; the path below the folder is kept."""
    address = f"{folder.address}/{entry.name}"
    if entry.name.lower().endswith(ARCHIVE_SUFFIXES):
        below, _ = parted(entry.name)
        yield from members(StoredArchive(folder, entry.name, address, entry.size), below.rstrip("/"))
    else:
        yield ImageRef(address, StoredObject(folder, entry.name, entry.size), relative_name(entry.name))


def _object(folder: Folder, name: str, address: str, *, in_list: bool) -> Iterator[ImageRef]:
    if not name.lower().endswith(ARCHIVE_SUFFIXES):
        # A list names objects of one tree; those of the same name in two folders must not share one output.
        below = address.partition("://")[2] if in_list else name
        yield ImageRef(address, StoredObject(folder, name), relative_name(below))
    elif (entry := folder.entry(name)) is not None:
        yield from members(StoredArchive(folder, name, address, entry.size))
    else:
        yield ImageRef(address, Unavailable("not-found", "expected a tar, found none by this name; check the address"))


def _single_or_nothing(address: str, found: _Found, selection: Selection) -> Iterator[ImageRef]:
    """An object whose name has no known suffix, or a pattern's signs; else one that fails: nothing passes unnoticed."""
    folder, name = parted(address)
    has_bucket = not folder.endswith("://")
    if name and has_bucket and (single := folder_at(folder)).entry(name) is not None:
        yield ImageRef(masked(address), StoredObject(single, name), relative_name(name))
        return
    where = "what this pattern matches" if found.pattern else "the folder"
    said = selection.line() or f"expected names that end in {', '.join(selection.suffixes)}; check the address"
    yield ImageRef(masked(address), Unavailable("no-pictures", f"no pictures in {where}; {said}"))


@contextlib.contextmanager
def _picture_errors() -> Iterator[None]:
    """Turn the trouble with one object into a PictureError."""
    try:
        yield
    except LocationError as error:
        if error.kind in _FOR_ALL:
            raise
        raise PictureError(error.kind, str(error)) from error
