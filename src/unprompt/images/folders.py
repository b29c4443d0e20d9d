"""The files below a folder, all or by a pattern, in natural order: 2.png before 10.png."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from unprompt.images.formats import ARCHIVE_SUFFIXES, PICTURE_SUFFIXES

_WANTED = (*PICTURE_SUFFIXES, *ARCHIVE_SUFFIXES)
_ANY_DEPTH = "**"
_WILDCARD = re.compile(r"[*?\[]")
_NUMBER = re.compile("[0-9]{2,}")

_Places: TypeAlias = tuple[int, ...]
"""Which segments of a pattern the names in one folder are held against; "**" makes it several."""


def pictures_below(folder: str, *, in_order: bool = True) -> Iterator[tuple[str, str]]:
    """The pictures and tars below a folder: the path of each, and the same below the folder, with "/".

    Folders are entered in their place among the files. Hidden files and folders, and folders behind links, are left
    out; the folder itself may be a link. A folder that cannot be listed is given by its own path. While one folder is
    listed, its names are held, and while they are sorted a key for each.
    """
    return _walk(folder, _Pattern([_ANY_DEPTH]), in_order)


def matching(pattern: str, *, in_order: bool = True) -> Iterator[tuple[str, str]]:
    """The files that a pattern matches: the path of each, and the same below the pattern's fixed leading folders.

    `*`, `?` and `[...]` match within one name, `**` any number of folders, though none behind links. A hidden name is
    matched only where its part of the pattern begins with a dot. Where the last part has no suffix (`*`, `**`), only
    pictures and tars are given.
    """
    root, parts = _split(pattern)
    return _walk(root, _Pattern(parts), in_order) if os.path.isdir(root or os.curdir) else iter(())


def _split(pattern: str) -> tuple[str, list[str]]:
    """The fixed leading folders as they are written, and the parts from the first one with a wildcard."""
    first = _WILDCARD.search(pattern)
    assert first is not None  # what has none is no pattern
    if os.altsep:
        pattern = pattern.replace(os.altsep, os.sep)
    cut = pattern.rfind(os.sep, 0, first.start()) + 1
    return pattern[:cut], [part for part in pattern[cut:].split(os.sep) if part]


class _Pattern:
    """The parts of a pattern, matched folder by folder."""

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = [*parts, "*"] if parts[-1] == _ANY_DEPTH else list(parts)
        self._matches = [re.compile(fnmatch.translate(os.path.normcase(part))).match for part in self._parts]
        self._last = len(self._parts) - 1
        last = self._parts[-1]
        self._any_suffix = bool(os.path.splitext(last)[1]) or not _WILDCARD.search(last)
        self.start = self._at_any_depth([0])

    def takes(self, name: str, places: _Places) -> bool:
        """Whether a file of this name is meant."""
        if not (self._any_suffix or name.lower().endswith(_WANTED)):
            return False
        return self._last in places and self._fits(name, self._last)

    def inside(self, name: str, places: _Places, *, linked: bool) -> _Places:
        """What the names in the folder `name` are held against; nothing where it is not to be entered."""
        deeper: set[int] = set()
        for place in places:
            if self._parts[place] == _ANY_DEPTH:
                if not linked and not name.startswith("."):
                    deeper.add(place)
            elif place + 1 < len(self._parts) and self._fits(name, place):
                deeper.add(place + 1)
        return self._at_any_depth(deeper)

    def _fits(self, name: str, place: int) -> bool:
        part = self._parts[place]
        if name.startswith(".") and not part.startswith("."):
            return False
        return part == "*" or self._matches[place](os.path.normcase(name)) is not None

    def _at_any_depth(self, places: Iterable[int]) -> _Places:
        """The places, and what follows those that may stand for no folder at all."""
        found: set[int] = set()
        for place in places:
            found.add(place)
            while self._parts[place] == _ANY_DEPTH:
                place += 1
                found.add(place)
        return tuple(sorted(found))


@dataclass(slots=True)
class _Folder:
    """A folder whose entries are being given; `entries` is None until it is listed."""

    path: str
    below: str
    places: _Places
    entries: list[str] | None = None


def _walk(root: str, pattern: _Pattern, in_order: bool) -> Iterator[tuple[str, str]]:
    stack = [_Folder(root, "", pattern.start)]
    while stack:
        folder = stack[-1]
        if folder.entries is None:
            folder.entries, whole = _entries(folder, pattern, in_order)
            if not whole:
                # One closed folder must not stop the rest: it goes on as a name, and fails when it is read.
                yield folder.path, folder.below
        if not folder.entries:
            stack.pop()
            continue
        entry = folder.entries.pop().rpartition("\0")[2]
        name = entry.rstrip("/")
        path = os.path.join(folder.path, name)
        below = f"{folder.below}/{name}" if folder.below else name
        if entry.endswith("/"):
            places = pattern.inside(name, folder.places, linked=entry.endswith("//"))
            stack.append(_Folder(path, below, places))
        else:
            yield path, below


def _entries(folder: _Folder, pattern: _Pattern, in_order: bool) -> tuple[list[str], bool]:
    """What is wanted in one folder, the last first, and whether the folder could be listed to its end.

    A folder's name ends in "/", that of one behind a link in "//". A key to sort by stands before each name, with a NUL
    between them: one string a name is the least that can be held.
    """
    found: list[str] = []
    whole = True
    try:
        with os.scandir(folder.path or os.curdir) as entries:
            for entry in entries:
                name = entry.name
                if _is_folder(entry):
                    linked = entry.is_symlink()
                    if not pattern.inside(name, folder.places, linked=linked):
                        continue
                    name += "//" if linked else "/"
                elif not pattern.takes(name, folder.places):
                    continue
                found.append(f"{_natural_order(name)}\0{name}" if in_order else name)
    except OSError:
        whole = False
    if in_order:
        found.sort(reverse=True)
    return found, whole


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a loop: it fails when it is read, and must not hide its neighbours
        return False


def _natural_order(name: str) -> str:
    """A key that puts 2.png before 10.png, whatever the case; what is left equal is settled by the plain name."""
    return _NUMBER.sub(_by_length, name.casefold())


def _by_length(number: re.Match[str]) -> str:
    """The number behind its length, so that texts compare as numbers do. One digit needs no length."""
    digits = number[0].lstrip("0") or "0"
    return chr(ord("9") + len(digits)) + digits if len(digits) > 1 else digits
