"""Prompts to clean, compare, split and count: those of a data set of pictures, or prompts alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from unprompt.datasets.lines import placed_lines
from unprompt.datasets.pairs import has_pictures, read_pairs, read_prompts
from unprompt.datasets.records import Fault, Faults, Pair, Record, prompt_of
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.images.folders import is_pattern, matching

TEXT_SUFFIX = ".txt"


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt and its picture; for a prompt alone, `pair` is None and `others` are the other fields of its record."""

    prompt: str
    pair: Pair | None
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> Mapping[str, Any]:
        """The other fields of the record, wherever it is from."""
        return self.others if self.pair is None else self.pair.fields


class PromptSource:
    """A data set, as `read_pairs` reads it, or prompts alone. It can be read repeatedly.

    Prompts alone are a text file or a pattern whose name ends in .txt, one prompt a line, or a table whose first record
    names no picture; with `pictures=False`, pictures of any data set are passed over. `root` is as for `read_pairs`.
    `faults` counts the faults of each kind that the last reading found. Blank lines are ignored.
    """

    def __init__(self, name: str, *, skip_bad: bool = False, root: str | None = None, pictures: bool = True) -> None:
        self.name = name
        self.is_text = name.lower().endswith(TEXT_SUFFIX)
        self.alone = self.is_text or not pictures or (root is None and not has_pictures(name))
        self.faults: Counter[str] = Counter()
        self._skip_bad, self._root = skip_bad, root

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
        if self.is_text:
            yield from _lines(self.name)
        elif self.alone:
            for record in read_prompts(self.name):
                yield record if isinstance(record, Fault) else _alone(record)
        else:
            for item in read_pairs(self.name, self._root):
                yield item if isinstance(item, Fault) else Entry(item.prompt, item)


def _alone(record: Record) -> Entry | Fault:
    prompt = prompt_of(record)
    return prompt if isinstance(prompt, Fault) else Entry(prompt, None, record.fields)


def _lines(name: str) -> Iterator[Entry | Fault]:
    paths = [path for path, _below in matching(name)] if is_pattern(name) else [name]
    for path in paths:
        for _where, line in placed_lines(path):
            if isinstance(line, Fault):
                yield line
            elif prompt := line.strip():
                yield Entry(prompt, None)
