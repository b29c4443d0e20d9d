"""Sidecars: beside each picture, or in a folder of their own, a .txt file with its prompt, as trainers want them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from unprompt.display import one_line, printable
from unprompt.durable import OutputFullError, replace_file, write_errors
from unprompt.errors import DataError, PictureError

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef

Existing: TypeAlias = Literal["skip", "overwrite", "append", "prepend"]
EXISTING: tuple[Existing, ...] = get_args(Existing)

SIDECAR_LIMIT_BYTES = 1_000_000
"""A sidecar that is added to is read whole."""

_SUFFIX = ".txt"


class Sidecars:
    """Writes the sidecars of one run: beside the pictures or, with the tree kept, under `folder`.

    `existing` says what becomes of a sidecar that is there. "skip" leaves it; an empty one counts as none, for a power
    cut leaves such files. "append" and "prepend" put a comma between the texts, and change nothing where the answer is
    there already, so that a repeated run does not add it twice.

    Of every picture and of its sidecar 64 bits are remembered, to notice two pictures with one sidecar: 110 MB for a
    million.
    """

    def __init__(self, folder: str | None = None, existing: Existing = "skip") -> None:
        self._folder, self._existing = folder, existing
        self._taken: dict[int, int] = {}  # hash of a sidecar's path -> hash of its picture's

    def place(self, ref: ImageRef) -> str:
        """The path of the picture's sidecar. Raises PictureError (no-place)."""
        if self._folder is not None:
            return os.path.join(self._folder, *_parts_below(ref.below)) + _SUFFIX
        if ref.file is None:
            raise PictureError(
                "no-place",
                "expected a picture that is a file, to put a sidecar beside it, found one that is not; give a folder "
                "for the sidecars: -o DIR",
            )
        return os.path.splitext(ref.file)[0] + _SUFFIX

    def wanted(self, ref: ImageRef) -> bool:
        """Whether the picture is to be answered: False where "skip" leaves its sidecar as it is.

        Ask before the picture is read: what `write` would refuse for its place is refused here, and nothing is
        computed in vain. Raises PictureError: no-place, same-sidecar (it is another picture's), unwritable (something
        else than a file is there).
        """
        return not self._there(self._take(ref)) or self._existing != "skip"

    def write(self, ref: ImageRef, text: str) -> None:
        """Write the picture's sidecar: a line of text, without a line end, for some trainers take the file as it is.

        Raises PictureError as `wanted` does, where this sidecar cannot be written (unwritable), and where the one that
        is there cannot be read and so must not be added to (unreadable); DataError where the disk is full.
        """
        path = self._take(ref)
        text = one_line(text).encode("utf-8", "replace").decode()  # a lone surrogate is no text
        if self._there(path):
            if self._existing == "skip":
                return
            if self._existing != "overwrite":
                before = _read(path)
                text = _joined(before, text, at_end=self._existing == "append")
                if text == before:
                    return
        self._put(path, text)

    def _take(self, ref: ImageRef) -> str:
        """The path of the sidecar, which from now on is this picture's."""
        path = self.place(ref)
        full = os.path.normcase(os.path.abspath(path))
        picture = ref.source if ref.file is None else os.path.normcase(os.path.abspath(ref.file))
        if full.casefold() == picture.casefold():
            raise PictureError("no-place", "its sidecar would have the name of the picture itself; rename the picture")
        if self._taken.setdefault(hash(full), hash(picture)) != hash(picture):
            raise PictureError(
                "same-sidecar",
                f"another picture of this run has the same sidecar, {printable(path)}; rename one of the two, or give "
                "them different folders",
            )
        return path

    def _there(self, path: str) -> bool:
        """Whether something lies there that would be left, replaced or added to."""
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise PictureError("unwritable", f"cannot write {printable(path)}: {error.strerror}") from error
        if stat.S_ISREG(status.st_mode):
            return status.st_size > 0
        if self._existing == "skip" and os.path.isfile(path):
            return True  # a link to a file is read by trainers like any other
        raise PictureError(
            "unwritable",
            f"expected a plain file or nothing at {printable(path)}, found a link, a folder, a pipe or a device; move "
            "it away",
        )

    def _put(self, path: str, text: str) -> None:
        try:
            if self._folder is not None:
                with write_errors(path):
                    os.makedirs(os.path.dirname(path), exist_ok=True)
            replace_file(path, text.encode(), sync=False)  # of millions each would wait for the disk
        except OutputFullError:
            raise  # the next ones would fare no better
        except DataError as error:
            raise PictureError("unwritable", str(error)) from error


def _parts_below(below: str) -> list[str]:
    """The parts of a sidecar's path, without suffix, none of which leads out of the folder that they are put under."""
    *folders, name = below.split("/")
    parts = [*folders, os.path.splitext(name)[0]]
    # On Windows a part may have a drive or a backslash in it, which its base name has not.
    if any(part in ("", ".", "..") or part != os.path.basename(part) or "\0" in part for part in parts):
        raise PictureError(
            "no-place",
            f"expected a relative path to put a sidecar under the folder, found {printable(below) or 'no name'}",
        )
    return parts


def _read(path: str) -> str:
    """What a sidecar says. Raises PictureError (unreadable)."""
    try:
        with open(path, "rb") as file:
            data = file.read(SIDECAR_LIMIT_BYTES + 1)
        if len(data) <= SIDECAR_LIMIT_BYTES:
            return data.decode("utf-8-sig")
        reason = f"more than {SIDECAR_LIMIT_BYTES:,} bytes"
    except UnicodeDecodeError:
        reason = "other bytes"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise PictureError(
        "unreadable",
        f"expected a sidecar of UTF-8 text to add to at {printable(path)}, found {reason}; it is left as it is: mend "
        "it or move it away",
    )


def _joined(before: str, text: str, *, at_end: bool) -> str:
    """Two texts with a comma between; `before` itself where it has the text at that end already."""
    kept = before.strip()
    if not kept:
        return text
    if not text or kept == text or (kept.endswith(f", {text}") if at_end else kept.startswith(f"{text}, ")):
        return before
    return f"{kept.rstrip(' ,')}, {text}" if at_end else f"{text}, {kept.lstrip(' ,')}"
