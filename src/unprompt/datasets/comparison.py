"""The distinct prompts of a source and their vectors, the input of de-duplication, splits and statistics.

A source is read several times instead of being held in memory: first to find all faults before the work begins, then
for the prompts whose vectors are not cached yet, and last to write the output.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unprompt.datasets.near_pairs import Indices, NearPairs
from unprompt.datasets.prompts import Entry, PromptSource
from unprompt.datasets.vectors import Keys, VectorStore
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.progress import Step
from unprompt.text.fingerprints import fingerprint


@dataclass(frozen=True, eq=False)
class DistinctPrompts:
    """The records of a source grouped by prompt, in 32 bytes per record.

    `keys` (records,) are the fingerprints of the prompts, `firsts` (distinct,) the index of the first record with each
    distinct prompt, in order, and `places` (records,) the index of each record's prompt in `firsts`.
    """

    source: PromptSource
    keys: Keys
    firsts: Indices
    places: Indices

    @classmethod
    def read(
        cls, source: PromptSource, step: Step, check: Callable[[Entry], None] = lambda entry: None
    ) -> DistinctPrompts:
        """Read the whole source. Raises DataError if it has faults, or whatever `check` raises for an entry."""
        numbers = array("Q")
        with step("reading", None) as advance:
            for entry in source.entries():
                check(entry)
                numbers.append(fingerprint(entry.prompt))
                advance(1)
        keys = np.frombuffer(numbers, np.uint64)
        _sorted, found, inverse = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(found)
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        return cls(source, keys, found[order], ranks[inverse])

    def __len__(self) -> int:
        return len(self.firsts)

    @property
    def is_first(self) -> npt.NDArray[np.bool_]:
        """Whether each record (records,) is the first with its prompt."""
        return np.asarray(self.firsts[self.places] == np.arange(len(self.keys)))

    def again(self) -> Iterator[tuple[int, Entry]]:
        """Read the records again, with their indices. Raises DataError if they have changed."""
        number = -1
        for number, entry in enumerate(self.source.entries()):
            if number >= len(self.keys) or fingerprint(entry.prompt) != self.keys[number]:
                break
            yield number, entry
        else:
            if number + 1 == len(self.keys):
                return
        name = printable(self.source.name)
        raise DataError(
            f"expected {name} to stay unchanged, found that it changed while it was read; run again when it is complete"
        )

    def search(self, store: VectorStore, threshold: float, step: Step) -> NearPairs:
        """A search among the vectors of the distinct prompts; vectors missing from the store are computed first."""
        keys = self.keys[self.firsts]
        if missing := int(np.count_nonzero(store.rows(keys) < 0)):
            with step("encoding", missing) as advance:
                store.keep((entry.prompt for _number, entry in self.again()), advance)
        return NearPairs(store.vectors, store.rows(keys), threshold, store.threads)
