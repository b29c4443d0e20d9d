"""Statistics of a data set: the number, length, phrases and origin of its prompts, and how many are distinct."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from unprompt.datasets.prompts import Entry
from unprompt.text.fingerprints import Fingerprints
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, count_clip_tokens

FIELDS = ("kind", "generator", "source")
"""Fields of a record that say where its picture comes from."""

PHRASES_SHOWN = 20

_PHRASES_HELD = 200_000
_PHRASE_LIMIT = 80  # characters; anything longer is a sentence
_VALUES_HELD = 1000  # per field
_QUANTILES = (0.05, 0.5, 0.95)
_OTHERS = "(others)"


class Statistics:
    """Counts records. Lengths and phrases are those of distinct prompts.

    Memory: 8 bytes per distinct prompt, and a bounded number of phrases. Beyond that bound, rare phrases are dropped
    (Manku and Motwani's lossy counting), and a count may be too low by the number of times that happened.
    """

    def __init__(self) -> None:
        self.records = 0
        self.words: Counter[int] = Counter()
        self.clip_tokens: Counter[int] = Counter()
        self.phrases: Counter[str] = Counter()
        self.fields: dict[str, Counter[str]] = {}
        self._seen = Fingerprints()

    def add(self, entry: Entry) -> None:
        """Count one record."""
        self.records += 1
        for name in FIELDS:
            value = entry.fields.get(name)
            if isinstance(value, str):
                self._count_value(name, value)
        if not self._seen.add(entry.prompt):
            return
        self.words[len(entry.prompt.split())] += 1
        self.clip_tokens[count_clip_tokens(entry.prompt)] += 1
        parts = (" ".join(part.lower().split()) for part in entry.prompt.split(","))
        self.phrases.update({part for part in parts if 0 < len(part) <= _PHRASE_LIMIT})
        if len(self.phrases) > _PHRASES_HELD:
            self.phrases = self.phrases - Counter(dict.fromkeys(self.phrases, 1))

    @property
    def distinct(self) -> int:
        """The number of distinct prompts."""
        return len(self._seen)

    def summary(self) -> dict[str, Any]:
        """The counts as a JSON object. `over_limit` counts the prompts too long for CLIP to read to the end."""
        return {
            "records": self.records,
            "distinct_prompts": self.distinct,
            "words": _quantiles(self.words),
            "clip_tokens": {
                **_quantiles(self.clip_tokens),
                "limit": CLIP_CONTENT_TOKENS,
                "over_limit": sum(n for tokens, n in self.clip_tokens.items() if tokens > CLIP_CONTENT_TOKENS),
            },
            "fields": {name: dict(values.most_common()) for name, values in self.fields.items()},
            "phrases": dict(self.phrases.most_common(PHRASES_SHOWN)),
        }

    def _count_value(self, name: str, value: str) -> None:
        values = self.fields.setdefault(name, Counter())
        known = len(value) <= _PHRASE_LIMIT and (value in values or len(values) < _VALUES_HELD)
        values[value if known else _OTHERS] += 1


def _quantiles(lengths: Counter[int]) -> dict[str, float]:
    """Mean, quantiles and maximum, given the number of prompts of each length."""
    values = np.array(sorted(lengths), np.int64)
    ends = np.cumsum([lengths[value] for value in values.tolist()])
    found = {f"p{round(100 * q)}": int(values[ends.searchsorted(q * ends[-1])]) for q in _QUANTILES}
    mean = sum(value * count for value, count in lengths.items()) / int(ends[-1])
    return {"mean": round(mean, 2), **found, "max": int(values[-1])}
