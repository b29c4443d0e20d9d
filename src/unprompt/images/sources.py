"""What to read: files, folders, patterns, lists, archives, addresses, standard input, and pictures in memory.

Nothing is opened before its turn, and nothing is kept of what was given, so a million pictures need no more memory
than their names.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from PIL import Image

from unprompt.images.files import Bytes, LocalFile, Unavailable
from unprompt.images.formats import ARCHIVE_SUFFIXES
from unprompt.images.formats import PICTURE_SUFFIXES as PICTURE_SUFFIXES
from unprompt.images.ref import STANDARD_INPUT, ImageRef, Input, relative_name

if TYPE_CHECKING:
    import threading

    from unprompt.images.web.limits import WebLimits


_Kind: TypeAlias = Literal["standard input", "folder", "archive", "file", "address", "list", "pattern"]

_ADDRESS = re.compile("https?://", re.IGNORECASE)
_WILDCARD = re.compile(r"[*?\[]")


def image_refs(inputs: Input | Iterable[Input], *, web: WebLimits | None = None) -> Iterator[ImageRef]:
    """What to read, one picture at a time, in the order of the inputs.

    A path or text is, in this order: "-" (standard input: a picture or a list, by its content); what exists by this
    name; an address that begins with http:// or https://; "@" and a list file; a pattern with * ? [ or **; else a path
    all the same. A folder stands for the pictures and tars below it, naturally sorted; hidden ones and folders behind
    links are left out. A tar stands for the pictures in it. What has no name is called by its position among the
    inputs, from 0.

    What is named and cannot be had fails when it is read. Raises TypeError for what is no input at all.
    """
    for position, item in enumerate(_listed(inputs)):
        if isinstance(item, ImageRef):
            yield item
        elif isinstance(item, (str, os.PathLike)):
            yield from _named(os.fsdecode(item), web)
        elif isinstance(item, bytes):
            yield ImageRef(f"<bytes {position}>", Bytes(item))
        elif isinstance(item, Image.Image):
            name = os.fsdecode(getattr(item, "filename", ""))
            yield ImageRef(name or f"<picture {position}>", item, relative_name(os.path.basename(name)))
        elif isinstance(item, np.ndarray):
            yield ImageRef(f"<array {position}>", item)
        else:
            raise TypeError(f"expected a path, bytes, a Pillow picture or an array, found {type(item).__name__}")


def count(inputs: Input | Iterable[Input], stop: threading.Event | None = None) -> int | None:
    """How many pictures `image_refs` would give, without opening one.

    None where that shows only while reading (standard input, pipes, compressed tars), where counting would use the
    inputs up, and once `stop` is set. In a list, a name that ends like a picture counts as one, unseen.
    """
    inputs = _listed(inputs)
    if isinstance(inputs, Iterator):
        return None
    total = 0
    for item in inputs:
        number = _count_named(os.fsdecode(item), stop) if isinstance(item, (str, os.PathLike)) else 1
        if number is None or (stop is not None and stop.is_set()):
            return None
        total += number
    return total


def may_be_many(name: str) -> bool:
    """Whether an argument may stand for more than one picture: all but files and addresses may."""
    return _kind(name, in_list=False) not in ("file", "address")


def _listed(inputs: Input | Iterable[Input]) -> Iterable[Input]:
    if isinstance(inputs, (str, os.PathLike, bytes, Image.Image, np.ndarray, ImageRef)):
        return [inputs]
    return inputs


def _kind(name: str, in_list: bool) -> _Kind:
    """What an argument is. In a list there are no lists and no standard input: such names are files."""
    if name == STANDARD_INPUT and not in_list:
        return "standard input"
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return "file" if os.path.lexists(name) else _kind_of_missing(name, in_list)
    if stat.S_ISDIR(mode):
        return "folder"
    return "archive" if name.lower().endswith(ARCHIVE_SUFFIXES) else "file"


def _kind_of_missing(name: str, in_list: bool) -> _Kind:
    if _ADDRESS.match(name):
        return "address"
    if name.startswith("@"):
        return "file" if in_list else "list"
    if _WILDCARD.search(name):
        return "pattern"
    return "file"


def _named(name: str, web: WebLimits | None, *, in_list: bool = False) -> Iterator[ImageRef]:
    """The pictures that one argument, or one line of a list, names."""
    kind = _kind(name, in_list)
    if kind == "standard input":
        from unprompt.images.lists import standard_input

        yield from _unfolded(standard_input(), web)
    elif kind == "list":
        from unprompt.images.lists import listed

        yield from _unfolded(listed(name[1:]), web)
    elif kind == "folder" or kind == "pattern":
        yield from _found(name, kind)
    elif kind == "archive":
        from unprompt.images.archives import members

        yield from _or_nothing(members(name), name, "the archive", "unpack it and look")
    elif kind == "address":
        yield _at_address(name, web)
    else:
        # A list names files of one tree, and those of the same name must not share one output.
        yield ImageRef(name, LocalFile(name), relative_name(name if in_list else _base(name)))


def _unfolded(entries: Iterable[str | ImageRef], web: WebLimits | None) -> Iterator[ImageRef]:
    for entry in entries:
        if isinstance(entry, ImageRef):
            yield entry
        else:
            yield from _named(entry, web, in_list=True)


def _found(name: str, kind: Literal["folder", "pattern"]) -> Iterator[ImageRef]:
    from unprompt.images.folders import matching, pictures_below

    if kind == "folder":
        yield from _or_nothing(_files(pictures_below(name)), name, "the folder", "check the path")
    else:
        yield from _or_nothing(_files(matching(name)), name, "what this pattern matches", "check the pattern")


def _files(found: Iterable[tuple[str, str]]) -> Iterator[ImageRef]:
    for path, below in found:
        if below.lower().endswith(ARCHIVE_SUFFIXES):
            from unprompt.images.archives import members

            yield from members(path, os.path.dirname(below))
        else:
            yield ImageRef(path, LocalFile(path), relative_name(below))


def _or_nothing(refs: Iterable[ImageRef], name: str, where: str, advice: str) -> Iterator[ImageRef]:
    """The same, or one that fails where there are none: an argument without an answer must show."""
    empty = True
    for ref in refs:
        empty = False
        yield ref
    if empty:
        expected = f"expected files that end in {', '.join(sorted(PICTURE_SUFFIXES))}"
        yield ImageRef(name, Unavailable("no-pictures", f"no pictures in {where}; {expected}; {advice}"))


def _at_address(url: str, web: WebLimits | None) -> ImageRef:
    from unprompt.images.web.address import WebAddress
    from unprompt.images.web.limits import WebLimits

    path = re.split("[?#]", url.partition("://")[2], maxsplit=1)[0]
    _host, _, below = path.partition("/")
    shown = re.sub("//[^/?#]*@", "//***@", url)  # a password is refused, and must not be repeated
    return ImageRef(shown, WebAddress(url, web or WebLimits()), relative_name(below.rpartition("/")[2]))


def _base(path: str) -> str:
    return os.path.basename(path.rstrip(os.sep)) or path


def _count_named(name: str, stop: threading.Event | None, *, in_list: bool = False) -> int | None:
    if in_list and name.lower().endswith(tuple(PICTURE_SUFFIXES)) and not _WILDCARD.search(name):
        return 1  # asking the disk about a million names costs more than it tells
    kind = _kind(name, in_list)
    if kind == "standard input":
        return None
    if kind == "folder" or kind == "pattern":
        from unprompt.images.folders import matching, pictures_below

        walk = pictures_below if kind == "folder" else matching
        return _count_files((path for path, _below in walk(name, in_order=False)), stop)
    if kind == "archive":
        from unprompt.images.archives import count_members

        number = count_members(name, stop)
        return None if number is None else max(number, 1)
    if kind == "list":
        from unprompt.images.lists import listed, may_be_read_twice

        return _count_entries(listed(name[1:]), stop) if may_be_read_twice(name[1:]) else None
    return 1


def _count_files(paths: Iterable[str], stop: threading.Event | None) -> int | None:
    total = 0
    for path in paths:
        if stop is not None and stop.is_set():
            return None
        number: int | None = 1
        if path.lower().endswith(ARCHIVE_SUFFIXES):
            from unprompt.images.archives import count_members

            number = count_members(path, stop)
        if number is None:
            return None
        total += number
    return max(total, 1)  # where nothing is, that is said


def _count_entries(entries: Iterable[str | ImageRef], stop: threading.Event | None) -> int | None:
    total = 0
    for entry in entries:
        number = _count_named(entry, stop, in_list=True) if isinstance(entry, str) else 1
        if number is None or (stop is not None and stop.is_set()):
            return None
        total += number
    return total
