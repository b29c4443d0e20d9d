"""Writes sidecars: a file with the prompt beside each picture or in another folder, as training tools expect."""

from __future__ import annotations

import os
import stat
from collections import Counter
from typing import TYPE_CHECKING

from unprompt.display import printable
from unprompt.durable import replace_file, write_errors
from unprompt.errors import DataError, OutputFullError, PictureError
from unprompt.output.own_texts import OwnTexts
from unprompt.output.sidecar_kinds import SIDECAR_SUFFIXES, Existing, SidecarSuffix
from unprompt.output.sidecar_texts import (
    SIDECAR_LIMIT_BYTES,
    changed,
    content_of,
    is_caption,
    plain,
    text_in,
)

if TYPE_CHECKING:
    from unprompt.images.ref import ImageRef
    from unprompt.output.records import Record


class Sidecars:
    """Writes the sidecars of one run: beside the pictures or, with the same tree of folders, under `folder`.

    `existing` says what happens to an existing sidecar. "skip" keeps it, unless it is empty, as a power cut may leave
    it. "append" and "prepend" put a comma between the texts. What an earlier run wrote, under whatever options, is
    replaced and not doubled: `own_texts.py` remembers it. A sidecar of another kind (see `sidecar_texts.py`) is never
    changed. It counts as existing for "skip", and its text is the one to add to where there is none of the kind that
    is written; `others` counts the pictures that have one, by its suffix.

    Memory holds 64 bits for every picture and for its sidecar, to detect two pictures with one sidecar: 110 MB per
    million pictures; and what `OwnTexts` holds of one folder.
    """

    def __init__(self, folder: str | None = None, existing: Existing = "skip", suffix: SidecarSuffix = ".txt") -> None:
        self._folder, self._existing, self._suffix = folder, existing, suffix
        self._taken: dict[int, int] = {}  # hash of a sidecar's path -> hash of its picture's
        self._own = OwnTexts()
        self.others: Counter[str] = Counter()

    def place(self, ref: ImageRef) -> str:
        """The path of the picture's sidecar. Raises PictureError (no-place)."""
        if self._folder is not None:
            from unprompt.output.files import path_below

            return os.path.splitext(path_below(self._folder, ref.below, "a sidecar"))[0] + self._suffix
        if ref.file is None:
            raise PictureError(
                "no-place",
                "expected a picture that is a file, to put a sidecar beside it, found one that is not; give a folder "
                "for the sidecars: -o DIR",
            )
        return os.path.splitext(ref.file)[0] + self._suffix

    def wanted(self, ref: ImageRef) -> bool:
        """Whether the picture needs an answer: False if "skip" keeps its sidecar.

        Call it before the picture is read, so that nothing is computed in vain for a sidecar that `write` would refuse.
        Raises PictureError: no-place, same-sidecar (that of another picture), unwritable (not a file).
        """
        path = self._take(ref)
        if self._there(path):
            return self._existing != "skip"
        if self._existing != "skip" or (other := self._other(path)) is None:
            return True
        self.others[os.path.splitext(other)[1]] += 1
        return False

    def write(self, ref: ImageRef, text: str, record: Record | None = None) -> None:
        """Write the picture's sidecar: one line without a line end, since some training tools use the whole file.

        A .json holds the `record`, too. Raises PictureError as `wanted` does, if this sidecar cannot be written
        (unwritable), or if the existing one cannot be read (unreadable); DataError if the disk is full.
        """
        path = self._take(ref)
        text = plain(text)
        there = self._there(path)
        other = self._other(path)
        if self._existing == "skip" and (there or other is not None):
            return
        if other is not None:
            self.others[os.path.splitext(other)[1]] += 1
        content = content_of(text, record, self._suffix)
        old = path if there else other
        if old is not None and self._existing in ("append", "prepend"):
            before = _read(old)
            joined = self._joined(old, before, text)
            if old == path and joined == text_in(before, self._suffix):
                return
            if joined != text:
                content = (
                    changed(before, joined, self._suffix) if old == path else content_of(joined, record, self._suffix)
                )
        self._put(path, text, content)

    def _joined(self, path: str, content: str, text: str) -> str:
        """The text of an existing sidecar with the new one, which takes the place of what an earlier run wrote."""
        at_end = self._existing == "append"
        before = text_in(content, os.path.splitext(path)[1])
        if not before.strip() and content.strip():
            raise _unreadable(path, "a .json without a caption")
        rest = self._own.without(path, before.strip(), from_end=at_end)
        joined = _joined(before if rest is None else rest, text, at_end=at_end)
        return before if joined == before.strip() else joined

    def _other(self, path: str) -> str | None:
        """The picture's sidecar of another kind that holds a text; None if there is none."""
        stem = os.path.splitext(path)[0]
        for suffix in SIDECAR_SUFFIXES:
            if suffix != self._suffix and _holds_text(stem + suffix, suffix):
                return stem + suffix
        return None

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

    def _put(self, path: str, text: str, content: str) -> None:
        try:
            if self._folder is not None:
                with write_errors(path):
                    os.makedirs(os.path.dirname(path), exist_ok=True)
            self._own.remember(path, text)
            replace_file(path, content.encode(), sync=False)  # waiting for the disk would slow down millions of files
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
    raise _unreadable(path, reason)


def _unreadable(path: str, reason: str) -> PictureError:
    return PictureError(
        "unreadable",
        f"expected a sidecar of UTF-8 text to add to at {printable(path)}, found {reason}; it is left as it is: mend "
        "it or move it away",
    )


def _holds_text(path: str, suffix: str) -> bool:
    """Whether a file that is no picture's own holds a text; one that cannot be read counts by its size."""
    try:
        return os.path.isfile(path) and os.path.getsize(path) > 0 and is_caption(_read(path), suffix)
    except (OSError, PictureError):
        return suffix != ".json"


def _joined(before: str, text: str, *, at_end: bool) -> str:
    """Join two texts by a comma; returns `before` unchanged if it already has the text at that end."""
    kept = before.strip()
    if not kept:
        return text
    if not text or kept == text or (kept.endswith(f", {text}") if at_end else kept.startswith(f"{text}, ")):
        return before
    return f"{kept.rstrip(' ,')}, {text}" if at_end else f"{text}, {kept.lstrip(' ,')}"
