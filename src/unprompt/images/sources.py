"""What to read: files, folders, standard input, bytes, pictures and arrays in memory; nothing is opened yet."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from unprompt.errors import DataError, PictureError

Pixels: TypeAlias = npt.NDArray[np.uint8]
Input: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | Pixels

PICTURE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
)
"""What makes a file in a folder a picture. A file that is named outright may be called anything."""

STANDARD_INPUT = "-"

FILE_LIMIT_MB = 512
"""A file is read whole (its hash and its metadata need every byte), so its size bounds the memory."""


@dataclass(frozen=True, eq=False)
class ImageRef:
    """One picture to read.

    `source` is the name shown to people. `content` is a file's path (str), a file's bytes, a Pillow picture, or
    pixels (height, width, 3) uint8.
    """

    source: str
    content: str | bytes | Image.Image | Pixels

    def read(self) -> bytes:
        """The file's bytes.

        Raises PictureError (not-found, unreadable, too-large); TypeError where the picture never was a file.
        """
        if isinstance(self.content, str):
            return _read_file(self.content)
        if isinstance(self.content, bytes):
            _check_file_size(len(self.content))
            return self.content
        raise TypeError(f"{printable(self.source)} is a picture in memory and has no bytes to read")


def image_refs(inputs: Input | Iterable[Input]) -> Iterator[ImageRef]:
    """What to read, one picture at a time, in the order of the inputs.

    A path stands for itself, even where no file is: that shows when it is decoded. A folder stands for the pictures
    below it, naturally sorted; hidden ones and folders behind links are left out. "-" is standard input. What has no
    name is called by its position among the inputs, from 0. Raises DataError at a folder without pictures.
    """
    if isinstance(inputs, (str, os.PathLike, bytes, Image.Image, np.ndarray)):
        inputs = [inputs]
    for position, item in enumerate(inputs):
        if isinstance(item, (str, os.PathLike)):
            yield from _named(os.fsdecode(item))
        elif isinstance(item, bytes):
            yield ImageRef(f"<bytes {position}>", item)
        elif isinstance(item, Image.Image):
            name = os.fsdecode(getattr(item, "filename", ""))
            yield ImageRef(name or f"<picture {position}>", item)
        elif isinstance(item, np.ndarray):
            yield ImageRef(f"<array {position}>", item)
        else:
            raise TypeError(f"expected a path, bytes, a Pillow picture or an array, found {type(item).__name__}")


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey or refuse: control characters, lone surrogates."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _named(name: str) -> Iterator[ImageRef]:
    """The pictures that one argument names. Addresses, patterns and list files belong here as well."""
    if name == STANDARD_INPUT:
        # One byte past the limit tells too much from just enough.
        yield ImageRef(name, sys.stdin.buffer.read(FILE_LIMIT_MB * 1_000_000 + 1))
    elif os.path.isdir(name):
        yield from _folder(name)
    else:
        yield ImageRef(name, name)


def _folder(folder: str) -> Iterator[ImageRef]:
    empty = True
    for path in _pictures_below(folder):
        empty = False
        yield ImageRef(path, path)
    if empty:
        raise DataError(
            f"no pictures in the folder {printable(folder)}; expected files that end in "
            f"{', '.join(sorted(PICTURE_SUFFIXES))}"
        )


def _pictures_below(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            seen = sorted((entry for entry in entries if not entry.name.startswith(".")), key=_natural_order)
    except OSError:
        # One closed folder must not stop the rest: it goes on as a name, and fails when it is decoded.
        yield folder
        return
    for entry in seen:
        if entry.is_dir(follow_symlinks=False):
            yield from _pictures_below(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES:
            yield entry.path


def _natural_order(entry: os.DirEntry[str]) -> tuple[list[str | int], str]:
    """A key that puts 2.png before 10.png; the plain name settles what differs in case alone."""
    # Splitting at digits leaves text at even places and numbers at odd ones, so like is compared with like.
    parts = re.split(r"([0-9]+)", entry.name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], entry.name


def _read_file(path: str) -> bytes:
    try:
        # Opening a pipe or a device could wait for ever, so the kind of file is asked first.
        status = os.stat(path)
        _check_regular(status.st_mode)
        _check_file_size(status.st_size)
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the path
        raise PictureError("not-found", "expected a file, found none by this name; check the path") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PictureError(
            "unreadable", f"expected a file that can be read, found: {reason}; check its permissions"
        ) from error


def _check_regular(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        found = "a folder, or one that may not be listed; give the picture's own path or check the permissions"
    else:
        found = "a pipe, socket or device; give the picture's own path"
    raise PictureError("unreadable", f"expected a file that can be read, found {found}")


def _check_file_size(size: int) -> None:
    if size > FILE_LIMIT_MB * 1_000_000:
        raise PictureError(
            "too-large",
            f"expected a file of at most {FILE_LIMIT_MB} MB, found {size / 1_000_000:,.0f} MB or more; save it smaller",
        )
