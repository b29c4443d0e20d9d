"""Prompts to clean, compare, split and count: those of a data set of pictures, or of a text file with one a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from unprompt.datasets.lines import placed_lines
from unprompt.datasets.pairs import read_pairs
from unprompt.datasets.records import Fault, Pair
from unprompt.errors import DataError
from unprompt.images.sources import printable

TEXT_SUFFIX = ".txt"

_FAULTS_SHOWN = 3  # of a kind


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt and the picture that it belongs to; None where it is a line of a text file."""

    prompt: str
    pair: Pair | None


class PromptSource:
    """A data set, as `read_pairs` reads it, or a text file whose name ends in .txt; read as often as it is asked for.

    `faults` are how many of each kind the last reading found. Lines without text are none.
    """

    def __init__(self, name: str, *, skip_bad: bool = False) -> None:
        self.name = name
        self.is_text = name.lower().endswith(TEXT_SUFFIX)
        self.faults: Counter[str] = Counter()
        self._skip_bad = skip_bad

    def entries(self) -> Iterator[Entry]:
        """All that is sound, in order.

        Raises DataError at the end: where nothing was and, unless bad ones are to be skipped, where there were faults,
        with how many of each kind and the first of each.
        """
        self.faults.clear()
        first: dict[str, list[Fault]] = {}
        sound = 0
        for item in self._items():
            if isinstance(item, Fault):
                self.faults[item.kind] += 1
                if self.faults[item.kind] <= _FAULTS_SHOWN:
                    first.setdefault(item.kind, []).append(item)
            else:
                sound += 1
                yield item
        if self.faults and not (self._skip_bad and sound):
            raise DataError(self._summary(sound, first))
        if not sound:
            raise DataError(f"expected prompts in {printable(self.name)}, found none; check the path")

    def report(self, fault: Fault) -> None:
        """Counts a fault that shows only later, in a picture. Raises DataError unless bad ones are to be skipped."""
        if not self._skip_bad:
            raise DataError(f"{fault.where}: {fault.message}; --skip-bad leaves it out")
        self.faults[fault.kind] += 1

    def _items(self) -> Iterator[Entry | Fault]:
        if not self.is_text:
            for item in read_pairs(self.name):
                yield item if isinstance(item, Fault) else Entry(item.prompt, item)
            return
        for _where, line in placed_lines(self.name):
            if isinstance(line, Fault):
                yield line
            elif prompt := line.strip():
                yield Entry(prompt, None)

    def _summary(self, sound: int, first: dict[str, list[Fault]]) -> str:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in self.faults.most_common())
        places = "; ".join(f"{kind}: {fault.where}: {fault.message}" for kind in first for fault in first[kind])
        rest = "--skip-bad leaves them out" if sound else "nothing else is there"
        return f"{printable(self.name)} has {sound:,} sound records and faults beside them ({counts}; {rest}): {places}"
