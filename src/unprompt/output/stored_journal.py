"""A journal whose answers are in an object store as well, so that a run can be resumed on any machine.

An object cannot be appended to, so the answers of every few seconds become an object of their own, FILE.journal/PART:

    a line: unprompt journal VERSION SETTINGS    SETTINGS: hex, by `settings_key`
    for each answer: sha256 of the picture, 32 bytes | length: 4 bytes, little-endian | packed, as in journal.py

A kill loses the answers of these few seconds, which are computed again. Parts are never changed, and several runs can
write theirs side by side: an answer is found by its picture and its settings, so that none can be taken for another.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from unprompt.errors import DataError
from unprompt.locations.folder import Folder
from unprompt.locations.location import folder_at
from unprompt.output.journal import VERSION, Journal
from unprompt.output.packing import pack, unpack
from unprompt.prediction import Prediction
from unprompt.threads import in_order

PART_S = 10.0
"""Seconds after which answers become a part: a request every ten seconds costs next to nothing."""

PART_BYTES = 4_000_000
"""Bytes after which they become one sooner."""

_PART_LIMIT = 512 * 2**20  # one answer may take 256 MB
_READERS = 8
_SHA256_BYTES = 32
_LENGTH = struct.Struct("<I")


class StoredJournal:
    """Answers on this machine and in parts in a store; for `Unprompter.predict(answers=...)`, from one thread.

    Methods raise DataError as those of `Journal` do, and LocationError, which is one, if the store fails.
    """

    def __init__(self, address: str, settings: str, *, resume: bool) -> None:
        """Check that the store can be written and, to `resume`, bring the answers of earlier runs to this machine."""
        self._parts: Folder = folder_at(address)
        self._run = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}"
        self._head = f"unprompt journal {VERSION} {settings}\n".encode()
        self._own: list[str] = []
        self._pending: list[bytes] = []
        self._due_s = time.monotonic() + PART_S
        self._place = tempfile.TemporaryDirectory(prefix="unprompt-")
        self._journal = Journal.open(os.path.join(self._place.name, "journal"), settings)
        try:
            self._was_empty = not self._old(load=resume)
            self._write()  # says now, and not after the first answers, that it may not be written
        except BaseException:
            self._close()
            raise

    def get(self, sha256: str) -> Prediction | None:
        """Find the answer for a picture's `sha256` (hex)."""
        return self._journal.get(sha256)

    def put(self, answers: Mapping[str, Prediction]) -> None:
        """Store answers by their picture's sha256 (hex); they are in the store after some seconds."""
        self._journal.put(answers)
        for sha256, answer in answers.items():
            packed = pack(answer)
            self._pending += (bytes.fromhex(sha256), _LENGTH.pack(len(packed)), packed)
        if time.monotonic() >= self._due_s or sum(map(len, self._pending)) >= PART_BYTES:
            self._write()

    def is_empty(self) -> bool:
        """Whether no answer is stored, of this run or an earlier one, with any settings."""
        return self._was_empty and self._journal.is_empty()

    def close(self) -> None:
        """Store what waits, and leave the parts for the next run; may be called twice."""
        try:
            if self._pending:
                self._write()
        finally:
            self._close()

    def close_and_remove(self) -> None:
        """Remove the parts that this run wrote or read, because it is complete; those of another run stay."""
        self._pending = []
        self.close()
        for name in self._own:
            self._parts.remove(name)

    def __enter__(self) -> StoredJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _old(self, *, load: bool) -> bool:
        """Whether earlier runs left answers; `load` copies those with our settings into the journal."""
        found = False
        with ThreadPoolExecutor(_READERS, "unprompt-journal") as pool:
            for page in self._parts.pages():
                full = [entry.name for entry in page if entry.size > len(self._head)]
                # The others are of runs that ended before their first answer.
                self._own += [entry.name for entry in page if entry.size <= len(self._head)]
                found |= bool(full)
                for name, data in in_order(pool, self._read, full, _READERS) if load else ():
                    self._load(name, data)
        return found

    def _read(self, name: str) -> tuple[str, bytes]:
        return name, self._parts.read(name, _PART_LIMIT)

    def _load(self, name: str, data: bytes) -> None:
        head, _, _ = data[:256].partition(b"\n")
        if not head.startswith(b"unprompt journal "):
            raise DataError(
                f"expected parts of a journal in {self._parts.shown}, found another file, {name}; choose another -o"
            )
        if head + b"\n" != self._head:
            return  # of other settings: another run's, which may still need it
        self._own.append(name)
        self._journal.put(_answers(data, len(self._head)))

    def _close(self) -> None:
        self._journal.close()
        self._place.cleanup()

    def _write(self) -> None:
        name = f"{self._run}-{len(self._own):06}"
        self._parts.write(name, b"".join([self._head, *self._pending]))
        self._own.append(name)
        self._pending = []
        self._due_s = time.monotonic() + PART_S


def _answers(data: bytes, start: int) -> dict[str, Prediction]:
    """The answers in a part, by their picture's sha256; one that is damaged is missing, and will be computed again."""
    answers = {}
    while start + _SHA256_BYTES + _LENGTH.size <= len(data):
        sha256 = data[start : start + _SHA256_BYTES]
        (length,) = _LENGTH.unpack_from(data, start + _SHA256_BYTES)
        start += _SHA256_BYTES + _LENGTH.size
        with contextlib.suppress(ValueError):
            answers[sha256.hex()] = unpack(data[start : start + length])
        start += length
    return answers
