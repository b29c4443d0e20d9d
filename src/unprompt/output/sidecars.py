"""Writes sidecars: a .txt file with the prompt beside each picture or in another folder, as training tools expect."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from unprompt.display import one_line, printable
from unprompt.durable import replace_file, write_errors
from unprompt.errors import DataError, OutputFullError, PictureError

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef

Existing: TypeAlias = Literal["skip", "overwrite", "append", "prepend"]
EXISTING: tuple[Existing, ...] = get_args(Existing)

SIDECAR_LIMIT_BYTES = 1_000_000
"""The largest sidecar to which text is added, since it is read whole."""

_SUFFIX = ".txt"


class Sidecars:
    """Writes the sidecars of one run: beside the pictures or, with the same tree of folders, under `folder`.

    `existing` says what happens to an existing sidecar. "skip" keeps it, unless it is empty, as a power cut may leave
    it. "append" and "prepend" put a comma between the texts, and change nothing if the answer is already there, so that
    a repeated run does not add it twice.

    Memory holds 64 bits for every picture and for its sidecar, to detect two pictures with one sidecar: 110 MB per
    million pictures.
    """

    def __init__(self, folder: str | None = None, existing: Existing = "skip") -> None:
        self._folder, self._existing = folder, existing
        self._taken: dict[int, int] = {}  # hash of a sidecar's path -> hash of its picture's

    def place(self, ref: ImageRef) -> str:
        """The path of the picture's sidecar. Raises PictureError (no-place)."""
        if self._folder is not None:
            from unprompt.output.files import path_below

            return os.path.splitext(path_below(self._folder, ref.below, "a sidecar"))[0] + _SUFFIX
        if ref.file is None:
            raise PictureError(
                "no-place",
                "expected a picture that is a file, to put a sidecar beside it, found one that is not; give a folder "
                "for the sidecars: -o DIR",
            )
        return os.path.splitext(ref.file)[0] + _SUFFIX

    def wanted(self, ref: ImageRef) -> bool:
        """Whether the picture needs an answer: False if "skip" keeps its sidecar.

        Call it before the picture is read, so that nothing is computed in vain for a sidecar that `write` would refuse.
        Raises PictureError: no-place, same-sidecar (that of another picture), unwritable (not a file).
        """
        return not self._there(self._take(ref)) or self._existing != "skip"

    def write(self, ref: ImageRef, text: str) -> None:
        """Write the picture's sidecar: one line without a line end, since some training tools use the whole file.

        Raises PictureError as `wanted` does, if this sidecar cannot be written (unwritable), or if the existing one
        cannot be read (unreadable); DataError if the disk is full.
        """
        path = self._take(ref)
        text = one_line(text).encode("utf-8", "replace").decode()  # UTF-8 has no lone surrogates
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
        """Reserve the sidecar for this picture; returns its path."""
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
        """Whether a sidecar with content exists. Raises PictureError (unwritable)."""
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise PictureError("unwritable", f"cannot write {printable(path)}: {error.strerror}") from error
        if stat.S_ISREG(status.st_mode):
            return status.st_size > 0
        if self._existing == "skip" and os.path.isfile(path):
            return True  # training tools follow a link to a file
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
            replace_file(path, text.encode(), sync=False)  # waiting for the disk would slow down millions of files
        except OutputFullError:
            raise  # the next ones would fail, too
        except DataError as error:
            raise PictureError("unwritable", str(error)) from error


def _read(path: str) -> str:
    """Read a sidecar's text. Raises PictureError (unreadable)."""
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
    """Join two texts by a comma; returns `before` unchanged if it already has the text at that end."""
    kept = before.strip()
    if not kept:
        return text
    if not text or kept == text or (kept.endswith(f", {text}") if at_end else kept.startswith(f"{text}, ")):
        return before
    return f"{kept.rstrip(' ,')}, {text}" if at_end else f"{text}, {kept.lstrip(' ,')}"
