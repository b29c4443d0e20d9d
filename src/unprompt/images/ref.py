"""One picture to read: its name, its place, and how to get its bytes."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias, Union, runtime_checkable

from unprompt.display import printable
from unprompt.images.files import FileView, LocalFile, OpenFile, Unavailable

if TYPE_CHECKING:  # the names of files are found without numpy and Pillow, whose import takes longer than that
    import numpy as np
    import numpy.typing as npt
    import torch
    from PIL import Image
    from typing_extensions import TypeIs

Pixels: TypeAlias = Annotated["npt.NDArray[np.uint8]", "RGB, (height, width, 3)"]


Input: TypeAlias = Union[
    str,
    "os.PathLike[str]",
    bytes,
    bytearray,
    memoryview,
    OpenFile,
    "Image.Image",
    "npt.NDArray[Any]",
    "torch.Tensor",
    "ImageRef",
]
"""What a caller may give for one or several pictures; `image_refs` says what each means."""

STANDARD_INPUT = "-"

_SEPARATORS = re.compile(f"[{re.escape(os.sep + (os.altsep or ''))}]")

# Characters that a name in an output folder must not contain: they would end the name or leave the folder.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"|?*\\]' if os.name == "nt" else r"\x00")


class Readable(Protocol):
    """One picture's file, wherever it lies."""

    @property
    def size_mb(self) -> float:
        """The megabytes that reading will add to memory, or 0 if unknown."""

    def read(self) -> bytes:
        """Read the file's bytes. Raises PictureError."""


@runtime_checkable
class Viewable(Protocol):
    """One picture's file that may be larger than one that is read whole."""

    def view(self) -> AbstractContextManager[bytes | FileView]:
        """The file's bytes, read where they are looked at. Raises PictureError."""


@dataclass(frozen=True, eq=False)
class ImageRef:
    """One picture to read.

    `source` is the name shown to people and written to records. `content` is a file to read, a Pillow picture, or an
    array of one picture, as `unprompt.images.arrays.from_array` takes it. `below` is the picture's path relative to the
    argument that named it, for outputs that keep the tree: with "/", never leading out of a folder; "" if the picture
    has no name.
    """

    source: str
    content: Readable | Image.Image | npt.NDArray[Any]
    below: str = ""

    def read(self) -> bytes:
        """Read the file's bytes. Raises PictureError, or TypeError for a picture in memory."""
        if is_picture(self.content) or is_array(self.content):
            raise TypeError(f"{printable(self.source)} is a picture in memory and has no bytes to read")
        return self.content.read()

    @contextlib.contextmanager
    def view(self) -> Iterator[bytes | FileView]:
        """The file's bytes; of one on disk, also in a tar, only those that are looked at. Raises like `read`."""
        if (content := _viewable(self.content)) is not None:
            with content.view() as data:
                yield data
        else:
            yield self.read()

    @property
    def is_viewable(self) -> bool:
        """Whether `view` reads no more than is looked at, however large the file is."""
        return _viewable(self.content) is not None

    def emptied(self) -> ImageRef:
        """A copy without the content, which may be megabytes; a place on disk is kept, being only a path."""
        return (
            self if hasattr(self.content, "path") else replace(self, content=Unavailable("not-found", "no longer kept"))
        )

    @property
    def size_mb(self) -> float:
        """The megabytes that reading the picture's file will add to memory, or 0 if unknown."""
        return 0.0 if is_picture(self.content) or is_array(self.content) else self.content.size_mb

    @property
    def file(self) -> str | None:
        """The path, if the picture is a file of its own on disk."""
        return self.content.path if isinstance(self.content, LocalFile) else None


def _viewable(content: object) -> Viewable | None:
    """The content, if it has a view of bytes."""
    if is_array(content):  # numpy's `view` is something else
        return None
    return content if isinstance(content, Viewable) else None


def is_distant(ref: ImageRef) -> bool:
    """Whether the bytes come from a store, so that fetching them ahead saves time."""
    return getattr(ref.content, "is_distant", False)


def is_picture(item: object) -> TypeIs[Image.Image]:
    """Whether it is a Pillow picture. Imports nothing: without Pillow there can be none."""
    return isinstance(item, getattr(sys.modules.get("PIL.Image"), "Image", ()))


def is_array(item: object) -> TypeIs[npt.NDArray[Any]]:
    """Whether it is an array, of whatever shape and type. Imports nothing: without numpy there can be none."""
    return isinstance(item, getattr(sys.modules.get("numpy"), "ndarray", ()))


def is_tensor(item: object) -> TypeIs[torch.Tensor]:
    """Whether it is a tensor of torch. Imports nothing: without torch there can be none."""
    return isinstance(item, getattr(sys.modules.get("torch"), "Tensor", ()))


def is_open_file(item: object) -> TypeIs[OpenFile]:
    """Whether it is read as a file is."""
    return callable(getattr(item, "read", None)) and not isinstance(item, ImageRef)


def relative_name(name: str) -> str:
    """Turn an untrusted name into a relative path with "/" that cannot leave its folder; may be empty."""
    parts = _SEPARATORS.split(name)
    return "/".join(_UNSAFE.sub("_", part) for part in parts if part not in ("", ".", ".."))
