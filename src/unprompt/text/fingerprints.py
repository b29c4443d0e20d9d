"""A set of texts in 8 bytes a text."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

_RECENT = 1 << 16
"""Numbers held in a set, which takes ten times the memory, before they are sorted into an array."""


def fingerprint(text: str) -> int:
    """A 64-bit hash of a text. Among ten million texts, the chance of one collision is 3 in a million."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class Fingerprints:
    """A set of texts that only grows, kept as sorted arrays of fingerprints, each longer than the next.

    A new array is merged with the one before it as long as that is not the longer one. So there are few arrays, and
    adding a text is cheap.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._sorted: list[npt.NDArray[np.uint64]] = []

    def __contains__(self, text: str) -> bool:
        return self._holds(fingerprint(text))

    def __len__(self) -> int:
        return len(self._recent) + sum(map(len, self._sorted))

    def add(self, text: str) -> bool:
        """Adds a text; returns whether it is new."""
        number = fingerprint(text)
        if self._holds(number):
            return False
        self._recent.add(number)
        if len(self._recent) >= _RECENT:
            self._sort()
        return True

    def _holds(self, number: int) -> bool:
        if number in self._recent:
            return True
        wanted = np.uint64(number)
        for numbers in self._sorted:
            place = int(numbers.searchsorted(wanted))
            if place < len(numbers) and numbers[place] == wanted:
                return True
        return False

    def _sort(self) -> None:
        newest = np.fromiter(self._recent, np.uint64, len(self._recent))
        newest.sort()
        self._recent.clear()
        while self._sorted and len(self._sorted[-1]) <= len(newest):
            newest = np.concatenate([self._sorted.pop(), newest])
            newest.sort()
        self._sorted.append(newest)
