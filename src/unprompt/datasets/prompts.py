"""Prompts to clean, compare, split and count: those of a data set of pictures, or of a text file, one a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from unprompt.datasets.lines import placed_lines
from unprompt.datasets.pairs import read_pairs
from unprompt.datasets.records import Fault, Faults, Pair
from unprompt.display import printable
from unprompt.errors import DataError

TEXT_SUFFIX = ".txt"


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt and its picture; `pair` is None if the prompt is a line of a text file."""

    prompt: str
    pair: Pair | None


class PromptSource:
    """A data set, as `read_pairs` reads it, or a text file whose name ends in .txt. It can be read repeatedly.

    `faults` counts the faults of each kind that the last reading found. Blank lines are ignored.
    """

    def __init__(self, name: str, *, skip_bad: bool = False) -> None:
        self.name = name
        self.is_text = name.lower().endswith(TEXT_SUFFIX)
        self.faults: Counter[str] = Counter()
        self._skip_bad = skip_bad

    def entries(self) -> Iterator[Entry]:
        """The sound entries, in order.

        Raises DataError at the end if there was no entry or, unless bad ones are to be skipped, if there were faults,
        with the count of each kind and the first few of each.
        """
        self.faults.clear()
        faults = Faults(self.faults)
        sound = 0
        for item in self._items():
            if isinstance(item, Fault):
                faults.add(item)
            else:
                sound += 1
                yield item
        if self.faults and not (self._skip_bad and sound):
            raise faults.error(self.name, sound, "--skip-bad")
        if not sound:
            raise DataError(f"expected prompts in {printable(self.name)}, found none; check the path")

    def report(self, fault: Fault) -> None:
        """Count a fault found only later, in a picture. Raises DataError unless bad entries are to be skipped."""
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
