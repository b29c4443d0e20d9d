"""The files below a folder, or those that match a pattern, in natural order: 2.png before 10.png."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from unprompt.images.selection import Selection, decodable

_ANY_DEPTH = "**"
EVERYTHING = (_ANY_DEPTH,)
"""The parts of the pattern that matches all pictures below a folder."""

_WILDCARD = re.compile(r"[*?\[]")
_NUMBER = re.compile("[0-9]{2,}")

_Places: TypeAlias = tuple[int, ...]
"""Indexes of the pattern parts that the names in one folder are matched against; "**" makes it several."""


def pictures_below(
    folder: str, selection: Selection | None = None, *, in_order: bool = True
) -> Iterator[tuple[str, str]]:
    """Yield the path of each picture and tar below a folder, and its path relative to the folder, with "/".

    Subfolders are entered in their place among the files. Hidden files and folders and linked folders are omitted, but
    the folder itself may be a link. A folder that cannot be listed is yielded as a path of its own. Memory holds the
    names of one folder at a time and, while they are sorted, a key for each. The `selection` says which files are
    wanted, and counts what it passes over; default: the pictures that can be decoded here.
    """
    return _walk(folder, Pattern(EVERYTHING, selection or decodable()), in_order)


def matching(pattern: str, selection: Selection | None = None, *, in_order: bool = True) -> Iterator[tuple[str, str]]:
    """Yield the path of each file that a pattern matches, and its path relative to the pattern's fixed leading folders.

    `*`, `?` and `[...]` match within one name, `**` any number of folders except linked ones. A hidden name matches
    only if its part of the pattern begins with a dot. If the last part has no suffix (`*`, `**`), only selected
    files and tars match.
    """
    root, parts = _split(pattern)
    return (
        _walk(root, Pattern(parts, selection or decodable()), in_order)
        if os.path.isdir(root or os.curdir)
        else iter(())
    )


def is_pattern(name: str) -> bool:
    """Whether a name that is no file has the signs of a pattern."""
    return _WILDCARD.search(name) is not None and not os.path.lexists(name)


def _split(pattern: str) -> tuple[str, list[str]]:
    """Split off the fixed leading folders, as written, from the parts that start with the first wildcard."""
    first = _WILDCARD.search(pattern)
    assert first is not None  # a pattern has a wildcard
    if os.altsep:
        pattern = pattern.replace(os.altsep, os.sep)
    cut = pattern.rfind(os.sep, 0, first.start()) + 1
    return pattern[:cut], [part for part in pattern[cut:].split(os.sep) if part]


class Pattern:
    """The parts of a pattern, matched folder by folder."""

    def __init__(self, parts: Sequence[str], selection: Selection) -> None:
        self._selection = selection
        self._parts = [*parts, "*"] if parts[-1] == _ANY_DEPTH else list(parts)
        self._matches = [re.compile(fnmatch.translate(os.path.normcase(part))).match for part in self._parts]
        self._last = len(self._parts) - 1
        last = self._parts[-1]
        self._any_suffix = bool(os.path.splitext(last)[1]) or not _WILDCARD.search(last)
        self.start = self._at_any_depth([0])

    def takes(self, name: str, places: _Places) -> bool:
        """Whether a file of this name matches; one that only its suffix excludes is passed over."""
        if self._last not in places or not self._fits(name, self._last):
            return False
        if self._any_suffix or self._selection.takes(name):
            return True
        self._selection.pass_over(name)
        return False

    def covers(self, below: str) -> bool:
        """Whether the file at a path with "/" below the pattern's fixed folders matches, as if its folders were met."""
        *folders, name = below.split("/")
        places = self.start
        for folder in folders:
            places = self.inside(folder, places, linked=False)
            if not places:
                return False
        return bool(name) and self.takes(name, places)

    def inside(self, name: str, places: _Places, *, linked: bool) -> _Places:
        """The places for the names in the folder `name`; empty if it is not to be entered."""
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
        """The places, together with those after each "**", which also matches no folder at all."""
        found: set[int] = set()
        for place in places:
            found.add(place)
            while self._parts[place] == _ANY_DEPTH:
                place += 1
                found.add(place)
        return tuple(sorted(found))


@dataclass(slots=True)
class _Folder:
    """A folder whose entries are being yielded; `entries` is None until it is listed."""

    path: str
    below: str
    places: _Places
    entries: list[str] | None = None


def _walk(root: str, pattern: Pattern, in_order: bool) -> Iterator[tuple[str, str]]:
    stack = [_Folder(root, "", pattern.start)]
    while stack:
        folder = stack[-1]
        if folder.entries is None:
            folder.entries, whole = _entries(folder, pattern, in_order)
            if not whole:
                # A folder without permission must not stop the rest: it is yielded as a path and fails when read.
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


def _entries(folder: _Folder, pattern: Pattern, in_order: bool) -> tuple[list[str], bool]:
    """Return the matching entries of one folder, last first, and whether the folder could be listed to its end.

    A folder's name ends in "/", that of a linked folder in "//". In order, a sort key and a NUL precede each name: one
    string per name takes the least memory.
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
    except OSError:  # a link that leads to itself: it fails when it is read, and must not hide its neighbours
        return False


def _natural_order(name: str) -> str:
    """A key that puts 2.png before 10.png and ignores case; the plain name breaks ties."""
    return _NUMBER.sub(_by_length, name.casefold())


def _by_length(number: re.Match[str]) -> str:
    """The number after its length, so that texts compare as numbers do; a single digit needs no length."""
    digits = number[0].lstrip("0") or "0"
    return chr(ord("9") + len(digits)) + digits if len(digits) > 1 else digits
