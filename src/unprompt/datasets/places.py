"""Where the pictures that a data set names lie: in or below one folder, whatever the names say."""

from __future__ import annotations

import ntpath
import os
import re

from unprompt.datasets.records import Fault, broken, is_text, shown
from unprompt.display import printable
from unprompt.images.files import LocalFile
from unprompt.images.formats import PICTURE_SUFFIXES
from unprompt.images.ref import ImageRef, relative_name

_SEPARATORS = re.compile(f"[{re.escape('/' + os.sep + (os.altsep or ''))}]")
_ANY_SEPARATOR = re.compile(r"[/\\]")
_OF_WINDOWS = re.compile(r"\\|^[A-Za-z]:/")
_SUFFIXES = tuple(sorted(PICTURE_SUFFIXES))
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")
_LONGEST_END = 8  # folders of a path that are looked for


def picture_named(folder: str, name: object, where: str, key: str) -> tuple[str, ImageRef] | Fault:
    """The file `name` in or below a folder, with its normalised relative path; a fault if the path leads out of it.

    An absolute path that leads into the folder is as good as a relative one. A name with backslashes that is no file
    here is one of Windows. A name without a picture's suffix may lack it. `key` is the field that holds the name.
    """
    if not is_text(name) or "\0" in name:
        return broken(where, key, "a text", name)
    parts = _parts(folder, name)
    if parts is None:
        return _outside(folder, name, where)
    if not parts:
        return Fault("missing-file", where, f"expected {key!r} to be a picture's path, found {shown(name)}")
    plain = "/".join(parts)
    plain = name if plain == name else plain  # shares the string: there may be a million names
    if not plain.lower().endswith(_SUFFIXES):
        plain += _lacking(os.path.join(folder, plain))
    path = os.path.join(folder, plain)
    below = relative_name(plain)
    return plain, ImageRef(path, LocalFile(path), plain if below == plain else below)


def shown_folder(folder: str) -> str:
    """A folder by its whole name, as messages show it: "." says little."""
    return printable(os.path.abspath(folder or os.curdir))


def _parts(folder: str, name: str) -> list[str] | None:
    """The parts of a name below the folder; None if it leads out of it."""
    separator = _SEPARATORS
    if os.path.isabs(name):
        return _inside(folder, name)
    if _ADDRESS.match(name):
        return None
    if _OF_WINDOWS.search(name) and not os.path.lexists(os.path.join(folder, name)):
        if _is_of_windows(name):
            return None
        separator = _ANY_SEPARATOR
    elif os.path.splitdrive(name)[0]:
        return None
    parts = [part for part in separator.split(name) if part not in ("", os.curdir)]
    return None if os.pardir in parts else parts


def _lacking(path: str) -> str:
    """The suffix that a path lacks to be a picture's, the first by name as for kohya's trainers; empty if none."""
    if os.path.isfile(path):
        return ""
    spellings = (spelt for suffix in _SUFFIXES for spelt in (suffix, suffix.upper()))
    return next((suffix for suffix in spellings if os.path.isfile(path + suffix)), "")


def _inside(folder: str, name: str) -> list[str] | None:
    """The parts of an absolute path below the folder; None if it leads elsewhere."""
    if os.pardir in _SEPARATORS.split(name):
        return None
    for root in (os.path.abspath(folder or os.curdir), os.path.realpath(folder or os.curdir)):
        if os.path.splitdrive(root)[0] == os.path.splitdrive(name)[0]:
            parts = os.path.relpath(name, root).split(os.sep)
            if parts[0] not in (os.curdir, os.pardir):
                return parts
    return None


def _is_of_windows(name: str) -> bool:
    """Whether it is an absolute path as Windows has it."""
    return bool(ntpath.splitdrive(name)[0]) or name.startswith("\\")


def _outside(folder: str, name: str, where: str) -> Fault:
    """The fault of a name that leads out of its folder, with what to write instead where that can be known."""
    foreign = not os.path.isabs(name) and _is_of_windows(name)
    absolute = foreign or os.path.isabs(name)
    address = _ADDRESS.match(name)
    kind = "the address " if address else "the absolute path " if absolute else ""
    found = f"{kind}{shown(name)}{' of Windows' if foreign else ''}"
    near = _there(folder, name)
    if near:
        advice = f"write {shown(near)}, which is there"
    elif address:
        advice = "download it, and name the file"
    elif absolute:
        advice = "write it relative to that folder, or give the folder that holds the pictures: --root FOLDER"
    else:
        advice = "put the picture there"
    return Fault(
        "outside-folder", where, f"expected a path within {shown(shown_folder(folder))}, found {found}; {advice}"
    )


def _there(folder: str, name: str) -> str:
    """The longest end of a path that is a file below the folder; empty if none is."""
    parts = [part for part in _ANY_SEPARATOR.split(name) if part not in ("", ".")]
    for start in range(max(1, len(parts) - _LONGEST_END), len(parts)):
        end = "/".join(parts[start:])
        if os.pardir not in parts[start:] and os.path.isfile(os.path.join(folder, end)):
            return end
    return ""
