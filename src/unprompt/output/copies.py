"""Writes copies of pictures into another folder, with the same tree of folders; nothing that exists is replaced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from unprompt.display import printable
from unprompt.durable import create_file, write_errors
from unprompt.errors import DataError, OutputFullError, PictureError
from unprompt.output.files import is_below, path_below

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unprompt.images.ref import ImageRef


def check_outside(folder: str, inputs: Iterable[str]) -> None:
    """Raise DataError if `folder` is no place for copies: a file, or below a folder that is itself read."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise DataError(f"expected a folder for the copies, found the file {printable(folder)}; name another -o")
    for path in inputs:
        if os.path.isdir(path) and is_below(folder, path):
            raise DataError(
                f"expected a folder for the copies outside {printable(path)}, which is read, found "
                f"{printable(folder)}; name another -o"
            )


def write_copy(folder: str, ref: ImageRef, data: bytes) -> None:
    """Write a picture's copy.

    Raises PictureError: no-place (no name, or the picture lies in the folder itself), unwritable (something is there
    already); DataError if the disk is full.
    """
    if ref.file is not None and is_below(ref.file, folder):
        raise PictureError(
            "no-place", "it lies in the folder for the copies itself; name another -o, or leave it out of the paths"
        )
    path = path_below(folder, ref.below, "a copy")
    try:
        with write_errors(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        is_new = create_file(path, data, sync=False)  # waiting for the disk would slow down thousands of files
    except OutputFullError:
        raise  # the next ones would fail, too
    except DataError as error:
        raise PictureError("unwritable", str(error)) from error
    if not is_new:
        raise PictureError(
            "unwritable", f"expected nothing at {printable(path)}, found a file; move it away, or name another -o"
        )
