"""Answers by what a picture holds: nothing is computed twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

from unprompt.prediction import Prediction

RECENT = 4096
"""Answers that are remembered where nothing else is asked for: about 5 KB each, 20 MB in all."""

WRITTEN_LIMIT = 4096
"""Characters that a file may say for its answer to be remembered in memory; a stranger's may say megabytes."""


class Answers(Protocol):
    """Remembers predictions by the sha256 of the picture's file; all of them made with the same settings."""

    def get(self, sha256: str) -> Prediction | None:
        """The answer to this content, whatever the picture was called then. Called by many threads."""

    def put(self, answers: Mapping[str, Prediction]) -> None:
        """Remembers answers by their sha256."""


class RecentAnswers:
    """The latest answers, in memory."""

    def __init__(self, limit: int = RECENT) -> None:
        self._limit = limit
        self._answers: OrderedDict[str, Prediction] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, sha256: str) -> Prediction | None:
        """The answer, which then counts as the latest."""
        with self._lock:
            if sha256 in self._answers:
                self._answers.move_to_end(sha256)
            return self._answers.get(sha256)

    def put(self, answers: Mapping[str, Prediction]) -> None:
        """Remembers these, but for those that say very much, and forgets what was not asked for the longest."""
        with self._lock:
            self._answers.update({sha256: answer for sha256, answer in answers.items() if _is_short(answer)})
            while len(self._answers) > self._limit:
                self._answers.popitem(last=False)


def _is_short(answer: Prediction) -> bool:
    written = answer.written
    if written is None:
        return True
    texts = (written.prompt, written.negative_prompt or "", written.raw, *map(str, written.settings.values()))
    return sum(map(len, texts)) <= WRITTEN_LIMIT
