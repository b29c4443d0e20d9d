"""Answers remembered by a picture's content, so that nothing is computed twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

from unprompt.prediction import Prediction

RECENT = 4096
"""The default number of answers kept in memory: about 5 KB each, 20 MB in all."""

WRITTEN_LIMIT = 4096
"""Answers whose written texts have more characters are not kept: a stranger's file may hold megabytes."""


class Answers(Protocol):
    """A store of predictions by the sha256 of the picture's file, all made with the same settings."""

    def get(self, sha256: str) -> Prediction | None:
        """The answer for this content, under whatever name it was answered. Must be thread-safe."""

    def put(self, answers: Mapping[str, Prediction]) -> None:
        """Stores answers by sha256."""


class RecentAnswers:
    """The most recently used answers, in memory."""

    def __init__(self, limit: int = RECENT) -> None:
        self._limit = limit
        self._answers: OrderedDict[str, Prediction] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, sha256: str) -> Prediction | None:
        """The answer, if it is here; it becomes the most recently used one."""
        with self._lock:
            if sha256 in self._answers:
                self._answers.move_to_end(sha256)
            return self._answers.get(sha256)

    def put(self, answers: Mapping[str, Prediction]) -> None:
        """Stores answers, except those with very long texts, and drops the least recently used ones."""
        with self._lock:
            self._answers.update({sha256: answer for sha256, answer in answers.items() if _is_short(answer)})
            while len(self._answers) > self._limit:
                self._answers.popitem(last=False)


def _is_short(answer: Prediction) -> bool:
    written = answer.written
    if written is None:
        return True
    # A set, for most of them are the prompt once more, and the same object.
    texts = {written.prompt, written.negative_prompt or "", written.raw, written.note, *written.candidates}
    texts |= {text.text for text in written.texts} | {resource.name for resource in written.resources}
    return sum(map(len, texts)) + sum(len(str(value)) for value in written.settings.values()) <= WRITTEN_LIMIT
