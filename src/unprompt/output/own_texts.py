"""Remembers which texts unprompt wrote into the sidecars of a folder, in a hidden file beside them.

By it, `--existing append` replaces what an earlier run added, under whatever options, instead of adding to it, and the
sidecars hold nothing but their texts. A line of the file, JSON, says the name of a sidecar, and the length and hash of
a text: {"file": "a.txt", "text": "5:b14d0eec0a8d2f5d"}. It is written before the sidecar, so that a kill between the
two loses nothing: a text that is not in the sidecar means nothing. The last texts of a sidecar count.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat

from unprompt.durable import write_errors
from unprompt.images.metadata.bounded_json import parse_object
from unprompt.output.jsonl import to_json

OWN_TEXTS = ".unprompt.sidecars"
"""The name of the hidden file."""

_LIMIT_BYTES = 256_000_000  # of the file that is read: three million sidecars
_LINE_LIMIT = 4096
_TEXTS_HELD = 3  # of a sidecar
_STARTS = re.compile(r"(?:^|,)\s*")
_AFTER = re.compile(r"\s*(?:,|$)")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class OwnTexts:
    """What was written into the sidecars of the folder used last. Memory holds about 200 bytes for each."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._texts: dict[int, tuple[str, ...]] = {}  # hash of a sidecar's name -> its texts, the last one first

    def remember(self, path: str, text: str) -> None:
        """Note that a text is about to be written into a sidecar. Raises DataError if that cannot be written."""
        known = self._of(path)
        own = _identity(text)
        if not text or own in known[:1]:
            return
        folder, name = os.path.split(path)
        self._texts[hash(name)] = (own, *known)[:_TEXTS_HELD]
        place = os.path.join(folder, OWN_TEXTS)
        line = to_json({"file": name, "text": own}) + "\n"
        with write_errors(place):
            file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK, 0o666)
            try:
                os.write(file, line.encode("utf-8", "surrogateescape"))
            finally:
                os.close(file)

    def without(self, path: str, text: str, *, from_end: bool) -> str | None:
        """A sidecar's text without what was written there, and without its comma; None if none of it is there."""
        for own in self._of(path):
            if (rest := _without(text, own, from_end=from_end)) is not None:
                return rest
        return None

    def _of(self, path: str) -> tuple[str, ...]:
        folder, name = os.path.split(path)
        if folder != self._folder:
            self._folder, self._texts = folder, {}
            self._read(os.path.join(folder, OWN_TEXTS))
        return self._texts.get(hash(name), ())

    def _read(self, place: str) -> None:
        """Read the file; lines that are none of ours are passed over."""
        with contextlib.suppress(OSError), open(os.open(place, os.O_RDONLY | _NO_LINK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT_BYTES:
                return
            while line := file.readline(_LINE_LIMIT):
                record = parse_object(line.decode("utf-8", "surrogateescape"))
                name, own = record.get("file"), record.get("text")
                if isinstance(name, str) and isinstance(own, str):
                    known = self._texts.get(hash(name), ())
                    self._texts[hash(name)] = (own, *(other for other in known if other != own))[:_TEXTS_HELD]


def _identity(text: str) -> str:
    """The length and the hash of a text."""
    return f"{len(text)}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _without(text: str, own: str, *, from_end: bool) -> str | None:
    """The text without the part, from comma to comma, that has this length and hash; None if no part has."""
    digits = own.partition(":")[0]
    length = int(digits) if digits.isdecimal() and len(digits) < 8 else 0
    starts = [found.end() for found in _STARTS.finditer(text)]
    for start in reversed(starts) if from_end else starts:
        end = start + length
        if 0 < length <= len(text) - start and _AFTER.match(text, end) and _identity(text[start:end]) == own:
            parts = (text[:start].rstrip(" ,"), text[end:].lstrip(" ,"))
            return ", ".join(part for part in parts if part)
    return None
