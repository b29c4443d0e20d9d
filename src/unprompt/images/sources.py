"""What to read: files, folders, patterns, lists, archives, addresses, standard input, and pictures in memory.

Nothing is opened before its turn and nothing is kept afterwards, so a million pictures need no more memory than their
names.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from unprompt.display import printable
from unprompt.errors import DataError, nearest
from unprompt.images.files import Bytes, LocalFile, Unavailable, handed_over
from unprompt.images.formats import ARCHIVE_SUFFIXES
from unprompt.images.formats import PICTURE_SUFFIXES as PICTURE_SUFFIXES
from unprompt.images.ref import (
    STANDARD_INPUT,
    ImageRef,
    Input,
    is_array,
    is_open_file,
    is_picture,
    is_tensor,
    relative_name,
)
from unprompt.images.selection import Selection, decodable
from unprompt.locations.address import is_remote, masked

if TYPE_CHECKING:
    import threading

    import numpy.typing as npt
    import torch

    from unprompt.images.files import OpenFile
    from unprompt.images.web.limits import WebLimits


_Kind: TypeAlias = Literal[
    "standard input", "folder", "archive", "file", "address", "web folder", "web archive", "stored", "list", "pattern"
]

_IN_ARCHIVES = tuple(sorted(PICTURE_SUFFIXES))
_ADDRESS = re.compile("https?://", re.IGNORECASE)
_WEB_PATH = re.compile("[?#]")
_WILDCARD = re.compile(r"[*?\[]")

_NAMED = 5
"""Missing files that an error names."""

_LOOKED_AT = 2000
"""Entries of a folder among which a misspelt name is looked for."""


def image_refs(
    inputs: Input | Iterable[Input], *, web: WebLimits | None = None, selection: Selection | None = None
) -> Iterator[ImageRef]:
    """Yield the pictures to read, one at a time, in the order of the inputs.

    A string or path is tried, in this order, as "-" (standard input: a picture or a list, by its content); an existing
    file or folder; an address that begins with http:// or https://, of a picture, a tar, or a folder, which ends in
    "/"; one in a store, such as s3://BUCKET/DIR or
    gs://BUCKET/*.png (the extra [cloud]); "@" followed by a list file; a pattern with * ? [ or **; and else taken as a
    path. A folder stands for the pictures and tars below it, in natural order, without hidden files and linked folders.
    A tar stands for the pictures in it. An open file, in binary mode, is read from its start when its turn comes; an
    array or tensor is a picture or a stack of them: see `unprompt.images.arrays`. An input without a name is named
    after its position, counted from 0. Folders and patterns without a suffix stand for the files of the `selection`,
    which counts what they pass over; default: the pictures that can be decoded here.

    A picture that cannot be read fails when it is read, not here. Raises TypeError for any other type of input, and
    LocationError for a folder in a store that cannot be listed.
    """
    selection = selection or decodable()
    for position, item in enumerate(_listed(inputs)):
        if isinstance(item, ImageRef):
            yield item
        elif isinstance(item, (str, os.PathLike)):
            yield from _named(os.fsdecode(item), web, selection)
        elif isinstance(item, (bytes, bytearray, memoryview)):
            yield ImageRef(f"<bytes {position}>", Bytes(bytes(item)))
        elif is_picture(item):
            name = os.fsdecode(getattr(item, "filename", ""))
            yield ImageRef(name or f"<picture {position}>", item, relative_name(os.path.basename(name)))
        elif is_array(item) or is_tensor(item):
            yield from _in_memory(item, f"{'array' if is_array(item) else 'tensor'} {position}")
        elif is_open_file(item):
            name = _name_of(item)
            yield ImageRef(name or f"<file {position}>", handed_over(item), relative_name(os.path.basename(name)))
        else:
            raise _no_picture(item)


def count(
    inputs: Input | Iterable[Input], stop: threading.Event | None = None, *, selection: Selection | None = None
) -> int | None:
    """Count the pictures that `image_refs` would yield for the suffixes of the selection, without opening one.

    None if the number is known only after reading (standard input, pipes, compressed tars), if counting would use up
    the inputs, or once `stop` is set. A name in a list that ends in a picture's suffix counts as one, unchecked.
    """
    inputs = _listed(inputs)
    if isinstance(inputs, Iterator):
        return None
    wanted = Selection((selection or decodable()).suffixes)  # what is passed over is counted when it is read
    return _total(
        (
            _count_named(os.fsdecode(item), stop, wanted)
            if isinstance(item, (str, os.PathLike))
            else _count_in_memory(item)
            for item in inputs
        ),
        stop,
    )


def check_stores(inputs: Iterable[Input]) -> None:
    """Ask each store among the inputs once whether its folder can be listed, before anything is computed.

    Raises LocationError if not: no bucket, no permission, no credentials, no network, or the extra [cloud] is missing.
    """
    names = (os.fsdecode(item) for item in inputs if isinstance(item, (str, os.PathLike)))
    addresses = [name for name in names if is_remote(name)]
    if addresses:
        from unprompt.images.stored import check

        for address in addresses:
            check(address)


def check_there(inputs: Iterable[str]) -> None:
    """Check that the files and folders among the inputs exist, before anything is computed.

    Raises DataError that names those that do not, and what the first one may have been meant to be. A link that leads
    nowhere does exist.
    """
    missing = [name for name in inputs if _kind(name, in_list=False) == "file" and not os.path.lexists(name)]
    if not missing:
        return
    names = ", ".join(map(printable, missing[:_NAMED])) + (", ..." if len(missing) > _NAMED else "")
    guess = _meant(missing[0])
    advice = f"did you mean {printable(guess)}?" if guess else "check the path"
    raise DataError(f"expected a file or a folder, found none by the name {names}; {advice}")


def _meant(path: str) -> str | None:
    """The path of a file or folder beside it with nearly the same name."""
    folder, name = os.path.split(path.rstrip(os.sep))
    try:
        with os.scandir(folder or os.curdir) as entries:
            names = [entry.name for entry in itertools.islice(entries, _LOOKED_AT) if not entry.name.startswith(".")]
    except OSError:
        return None
    guess = nearest(name, names)
    return guess and os.path.join(folder, guess)


def may_be_many(name: str) -> bool:
    """Whether an argument may stand for more than one picture; only files and addresses cannot."""
    return _kind(name, in_list=False) not in ("file", "address")


def _listed(inputs: Input | Iterable[Input]) -> Iterable[Input]:
    if isinstance(inputs, (str, os.PathLike, bytes, bytearray, memoryview, ImageRef)) or is_picture(inputs):
        return [inputs]
    if is_array(inputs):
        return inputs.tolist() if inputs.dtype.kind in "OU" else [inputs]  # paths, as tables of numpy hold them
    if is_tensor(inputs) or is_open_file(inputs):
        return [inputs]
    if not isinstance(inputs, Iterable):
        raise _no_picture(inputs)
    return inputs


def _no_picture(item: object) -> TypeError:
    way = "; numpy.asarray(...) makes an array of it" if hasattr(item, "__array__") else ""
    return TypeError(
        "expected a path, bytes, an open file, a Pillow picture, an array or a tensor, or several, "
        f"found {type(item).__name__}{way}"
    )


def _in_memory(item: npt.NDArray[Any] | torch.Tensor, name: str) -> Iterator[ImageRef]:
    """The pictures of an array or tensor, which is one picture or a stack of them."""
    from unprompt.images.arrays import pictures_in

    for place, picture in enumerate(pictures_in(item)):
        yield ImageRef(f"<{name}[{place}]>" if item.ndim == 4 else f"<{name}>", picture)


def _count_in_memory(item: Input) -> int:
    return len(item) if (is_array(item) or is_tensor(item)) and item.ndim == 4 else 1


def _name_of(file: OpenFile) -> str:
    """The path of an open file; "" if it has none, only a number, or, as a tar's members have, the archive's."""
    if isinstance(file, getattr(sys.modules.get("tarfile"), "ExFileObject", ())):
        return ""
    name = getattr(file, "name", "")
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else ""


def _kind(name: str, in_list: bool) -> _Kind:
    """What an argument is. Inside a list, "-" and "@..." are names of files."""
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
        path = _WEB_PATH.split(name, maxsplit=1)[0].lower()
        return "web folder" if path.endswith("/") else "web archive" if path.endswith(ARCHIVE_SUFFIXES) else "address"
    if is_remote(name):
        return "stored"
    if name.startswith("@"):
        return "file" if in_list else "list"
    if _WILDCARD.search(name):
        return "pattern"
    return "file"


def _named(name: str, web: WebLimits | None, selection: Selection, *, in_list: bool = False) -> Iterator[ImageRef]:
    """The pictures that one argument, or one line of a list, names."""
    kind = _kind(name, in_list)
    if kind == "standard input":
        from unprompt.images.lists import standard_input

        yield from _unfolded(standard_input(), web, selection)
    elif kind == "list":
        from unprompt.images.lists import listed

        yield from _unfolded(listed(name[1:]), web, selection)
    elif kind == "folder" or kind == "pattern":
        yield from _found(name, kind, selection)
    elif kind == "archive":
        from unprompt.images.archives import members

        yield from _or_nothing(members(name), name, "the archive", "unpack it and look", Selection(_IN_ARCHIVES))
    elif kind == "address":
        yield _at_address(name, web)
    elif kind == "web folder" or kind == "web archive":
        yield from _web_folder(name, kind, web, selection)
    elif kind == "stored":
        from unprompt.images.stored import refs_at

        yield from refs_at(name, selection, in_list=in_list)
    else:
        # A list names files of one tree; files of the same name in two folders must not share one output.
        yield ImageRef(name, LocalFile(name), relative_name(name if in_list else _base(name)))


def _unfolded(entries: Iterable[str | ImageRef], web: WebLimits | None, selection: Selection) -> Iterator[ImageRef]:
    for entry in entries:
        if isinstance(entry, ImageRef):
            yield entry
        else:
            yield from _named(entry, web, selection, in_list=True)


def _found(name: str, kind: Literal["folder", "pattern"], selection: Selection) -> Iterator[ImageRef]:
    from unprompt.images.folders import matching, pictures_below

    if kind == "folder":
        found, where, advice = pictures_below(name, selection), "the folder", "check the path"
    else:
        found, where, advice = matching(name, selection), "what this pattern matches", "check the pattern"
    yield from _or_nothing(_files(found), name, where, advice, selection)


def _files(found: Iterable[tuple[str, str]]) -> Iterator[ImageRef]:
    for path, below in found:
        if below.lower().endswith(ARCHIVE_SUFFIXES):
            from unprompt.images.archives import members

            yield from members(path, os.path.dirname(below))
        else:
            yield ImageRef(path, LocalFile(path), relative_name(below))


def _or_nothing(
    refs: Iterable[ImageRef], name: str, where: str, advice: str, selection: Selection
) -> Iterator[ImageRef]:
    """Yield the pictures, or one that fails if there are none: no argument may pass unnoticed."""
    empty = True
    for ref in refs:
        empty = False
        yield ref
    if empty:
        found = selection.line() or f"expected files that end in {', '.join(selection.suffixes)}; {advice}"
        yield ImageRef(name, Unavailable("no-pictures", f"no pictures in {where}; {found}"))


def _at_address(url: str, web: WebLimits | None) -> ImageRef:
    from unprompt.images.web.address import WebAddress
    from unprompt.images.web.limits import WebLimits

    path = _WEB_PATH.split(url.partition("://")[2], maxsplit=1)[0]
    _host, _, below = path.partition("/")
    # A password is refused later; a signature is a password for one picture.
    return ImageRef(masked(url), WebAddress(url, web or WebLimits()), relative_name(below.rpartition("/")[2]))


def _web_folder(
    url: str, kind: Literal["web folder", "web archive"], web: WebLimits | None, selection: Selection
) -> Iterator[ImageRef]:
    from unprompt.images.web.folders import web_archive, web_folder
    from unprompt.images.web.limits import WebLimits

    if kind == "web folder":
        found = web_folder(url, web or WebLimits(), selection)
        yield from _or_nothing(found, masked(url), "the folder", "check the address", selection)
    else:
        found = web_archive(url, web or WebLimits())
        yield from _or_nothing(found, masked(url), "the archive", "unpack it and look", Selection(_IN_ARCHIVES))


def _base(path: str) -> str:
    return os.path.basename(path.rstrip(os.sep)) or path


def _count_named(name: str, stop: threading.Event | None, selection: Selection, *, in_list: bool = False) -> int | None:
    if in_list and name.lower().endswith(tuple(PICTURE_SUFFIXES)) and not _WILDCARD.search(name):
        return 1  # checking a million names on disk takes too long
    kind = _kind(name, in_list)
    if kind in ("standard input", "web folder", "web archive") or (
        kind == "stored" and not name.lower().endswith(_IN_ARCHIVES)
    ):
        return None  # a store is not listed twice
    if kind == "folder" or kind == "pattern":
        from unprompt.images.folders import matching, pictures_below

        walk = pictures_below if kind == "folder" else matching
        return _count_files((path for path, _below in walk(name, selection, in_order=False)), stop)
    if kind == "archive":
        return _count_files([name], stop)
    if kind == "list":
        from unprompt.images.lists import listed, may_be_read_twice

        if not may_be_read_twice(name[1:]):
            return None
        entries = listed(name[1:])
        return _total(
            (_count_named(entry, stop, selection, in_list=True) if isinstance(entry, str) else 1 for entry in entries),
            stop,
        )
    return 1


def _count_files(paths: Iterable[str], stop: threading.Event | None) -> int | None:
    from unprompt.images.archives import count_members

    total = _total(
        (count_members(path, stop) if path.lower().endswith(ARCHIVE_SUFFIXES) else 1 for path in paths), stop
    )
    return None if total is None else max(total, 1)  # an empty folder or tar gives one failure


def _total(numbers: Iterable[int | None], stop: threading.Event | None) -> int | None:
    """The sum, or None if a number is unknown or `stop` is set."""
    total = 0
    for number in numbers:
        if number is None or (stop is not None and stop.is_set()):
            return None
        total += number
    return total
