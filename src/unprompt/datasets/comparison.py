"""The different prompts of a source and their vectors: what de-duplication, splits and statistics compare.

A source is read several times and never held: once to find all that is wrong with it before the work begins, once for
the prompts whose vectors are not kept yet, and once to write what is left of it.
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
    """The records of a source by their prompts: 32 bytes a record.

    `keys` (records,) are the fingerprints of the prompts, `firsts` (distinct,) the first record of each different one,
    in order, and `places` (records,) which of these a record has.
    """

    source: PromptSource
    keys: Keys
    firsts: Indices
    places: Indices

    @classmethod
    def read(
        cls, source: PromptSource, step: Step, check: Callable[[Entry], None] = lambda entry: None
    ) -> DistinctPrompts:
        """Reads the whole source. Raises DataError where it, or what `check` looks at, is not as it must be."""
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
        """Whether a record is the first of its prompt (records,)."""
        return np.asarray(self.firsts[self.places] == np.arange(len(self.keys)))

    def again(self) -> Iterator[tuple[int, Entry]]:
        """The records once more, with their numbers. Raises DataError where they are no longer the same."""
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
            f"expected {name} at rest, found that it changed while it was read; run again when it is written"
        )

    def search(self, store: VectorStore, threshold: float, step: Step) -> NearPairs:
        """A search among the vectors of the distinct prompts; those that the store lacks are encoded first."""
        keys = self.keys[self.firsts]
        if missing := int(np.count_nonzero(store.rows(keys) < 0)):
            with step("encoding", missing) as advance:
                store.keep((entry.prompt for _number, entry in self.again()), advance)
        return NearPairs(store.vectors, store.rows(keys), threshold, store.threads)
