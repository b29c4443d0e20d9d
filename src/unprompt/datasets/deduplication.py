"""De-duplication: drops prompts that are nearly the same as an earlier one, by the cosine of their MiniLM vectors."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import IO

import numpy as np

from unprompt.datasets.comparison import DistinctPrompts
from unprompt.datasets.near_pairs import Indices, NearPairs, Pairs
from unprompt.datasets.outputs import OutputPlace
from unprompt.datasets.vectors import VectorStore
from unprompt.durable import replacing_file
from unprompt.output.jsonl import to_json
from unprompt.progress import Advance, Step, no_advance


@dataclass(frozen=True)
class Deduplication:
    """The numbers of a run: all records, distinct prompts, prompts kept, and records kept.

    `near_pairs` is the number of pairs of distinct prompts that reach the threshold; None if no pair file was
    requested.
    """

    records: int
    distinct: int
    kept: int
    kept_records: int
    near_pairs: int | None


def deduplicate(
    prompts: DistinctPrompts,
    store: VectorStore,
    place: OutputPlace,
    *,
    threshold: float,
    copies: bool,
    pairs: str | None,
    step: Step,
) -> Deduplication:
    """Write the records whose prompts are kept: all of them with `copies`, else the first of each prompt.

    `pairs` names a file for all pairs that reach the threshold, as JSON lines. Raises DataError if the source changed
    while it was read.
    """
    search = prompts.search(store, threshold, step)
    pair_file = nullcontext() if pairs is None else _pair_file(pairs, prompts, step)
    with pair_file as report, step("comparing", search.pairs_up_to(len(search)), "pairs") as advance:
        originals = find_originals(search, report.write if report else None, advance)
    keep = (originals < 0)[prompts.places]
    if not copies:
        keep &= prompts.is_first
    with place.open() as output, step("writing", len(keep)) as advance:
        for number, entry in prompts.again():
            if keep[number]:
                output.write(entry, entry.prompt)
            advance(1)
    return Deduplication(
        records=len(keep),
        distinct=len(prompts),
        kept=int(np.count_nonzero(originals < 0)),
        kept_records=int(np.count_nonzero(keep)),
        near_pairs=report.count if report else None,
    )


def find_originals(
    search: NearPairs,
    report: Callable[[Pairs], None] | None = None,
    advance: Advance = no_advance,
) -> Indices:
    """For each vector (n,), the index of the one that it duplicates, or -1 if it is kept.

    Vectors are decided in order: one is dropped if its cosine with any kept earlier vector reaches the threshold, as a
    duplicate of the earliest such. So no two kept vectors reach the threshold and every dropped one is near a kept one;
    a vector near dropped ones only is kept. `report` is called with all pairs that reach the threshold, which takes
    longer than finding those with kept vectors only; `advance` with the number of pairs decided since the last call. A
    search can be used only once.
    """
    originals = np.full(len(search), -1, np.int64)

    def undecided(_first: Indices, second: Indices) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return originals[second] < 0

    wanted = undecided if report is None else None
    for block in search.blocks():
        for found in (search.earlier, search.within):
            for pairs in found(block, wanted):
                if report is not None:
                    report(pairs)
                _drop(pairs, originals)
        search.remember(block, None if report else originals[block] < 0)
        advance(search.pairs_up_to(block.stop) - search.pairs_up_to(block.start))
    return originals


def _drop(pairs: Pairs, originals: Indices) -> None:
    """Decide the second vector of each pair; the first is decided already, since pairs are ordered by their second."""
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        if originals[first] < 0 and originals[second] < 0:
            originals[second] = first


class _PairFile:
    """Writes pairs with their prompts, held in a temporary file: any of them may be needed many times."""

    def __init__(self, file: IO[bytes], texts: IO[bytes], ends: array[int], firsts: Indices) -> None:
        self.count = 0
        self._file, self._texts, self._ends, self._firsts = file, texts, ends, firsts

    def write(self, pairs: Pairs) -> None:
        """Write one line per pair: its cosine, its prompts, and the numbers of their first records, counted from 1."""
        for first, second, cosine in zip(*(column.tolist() for column in pairs), strict=True):
            record = {
                "cosine": round(cosine, 6),
                "first": self._text(first),
                "second": self._text(second),
                "first_record": int(self._firsts[first]) + 1,
                "second_record": int(self._firsts[second]) + 1,
            }
            self._file.write((to_json(record) + "\n").encode("utf-8"))
            self.count += 1

    def _text(self, index: int) -> str:
        start = self._ends[index - 1] if index else 0
        self._texts.seek(start)
        return self._texts.read(self._ends[index] - start).decode("utf-8", "surrogatepass")


@contextmanager
def _pair_file(path: str, prompts: DistinctPrompts, step: Step) -> Iterator[_PairFile]:
    with replacing_file(path, alone=True) as file, tempfile.TemporaryFile() as texts:
        ends = array("q")
        is_first = prompts.is_first
        with step("collecting", len(is_first)) as advance:
            for number, entry in prompts.again():
                if is_first[number]:
                    texts.write(entry.prompt.encode("utf-8", "surrogatepass"))
                    ends.append(texts.tell())
                advance(1)
        yield _PairFile(file, texts, ends, prompts.firsts)
