"""One picture to read: its name, where it lies, and how its bytes are had."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, Union

import numpy as np
import numpy.typing as npt
from PIL import Image

from unprompt.display import printable
from unprompt.images.files import LocalFile, Unavailable

Pixels: TypeAlias = npt.NDArray[np.uint8]


Input: TypeAlias = Union[str, "os.PathLike[str]", bytes, Image.Image, Pixels, "ImageRef"]


STANDARD_INPUT = "-"


_SEPARATORS = re.compile(f"[{re.escape(os.sep + (os.altsep or ''))}]")


# What a name in an output folder may not hold: it would end the name, or leave the folder.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"|?*\\]' if os.name == "nt" else r"\x00")


class Readable(Protocol):
    """One picture's file, wherever it lies."""

    @property
    def size_mb(self) -> float:
        """Megabytes, where they are known before it is read and not in memory yet; else 0."""

    def read(self) -> bytes:
        """The file's bytes. Raises PictureError."""


@dataclass(frozen=True, eq=False)
class ImageRef:
    """One picture to read.

    `source` is the name shown to people and kept in records. `content` is what to read, a Pillow picture, or pixels
    (height, width, 3) uint8. `below` is where the picture lies below the argument that named it, for outputs that keep
    the tree: a relative path with "/" that never leads out of a folder; "" where there is no name.
    """

    source: str
    content: Readable | Image.Image | Pixels
    below: str = ""

    def read(self) -> bytes:
        """The file's bytes. Raises PictureError; TypeError where the picture never was a file."""
        if isinstance(self.content, (Image.Image, np.ndarray)):
            raise TypeError(f"{printable(self.source)} is a picture in memory and has no bytes to read")
        return self.content.read()

    def emptied(self) -> ImageRef:
        """The same names without what was to be read, which may be megabytes; a file on disk keeps its path."""
        return self if self.file is not None else replace(self, content=Unavailable("not-found", "no longer kept"))

    @property
    def size_mb(self) -> float:
        """Megabytes of the picture's file, where that is known before it is read, else 0."""
        return 0.0 if isinstance(self.content, (Image.Image, np.ndarray)) else self.content.size_mb

    @property
    def file(self) -> str | None:
        """The path, where the picture is a file of its own on disk."""
        return self.content.path if isinstance(self.content, LocalFile) else None


def relative_name(name: str) -> str:
    """A stranger's name as a relative path with "/" that stays where it is put; may be empty."""
    parts = _SEPARATORS.split(name)
    return "/".join(_UNSAFE.sub("_", part) for part in parts if part not in ("", ".", ".."))
