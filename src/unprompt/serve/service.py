"""What all requests share: the models, the queues and the bank."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from unprompt.answer.memory import RecentAnswers
from unprompt.bank.bank import Bank
from unprompt.errors import UnpromptError
from unprompt.images.files import Bytes
from unprompt.images.ref import ImageRef
from unprompt.images.written import read_written
from unprompt.output.records import Record, failure_record, metadata_record
from unprompt.prediction import Candidate, Failure, Prediction, Style, Vector
from unprompt.progress import SILENT
from unprompt.serve.bodies import Held, Upload
from unprompt.serve.errors import Refusal
from unprompt.serve.interrogators import Interrogators
from unprompt.serve.queue import Queue
from unprompt.serve.settings import Settings
from unprompt.serve.telemetry import Telemetry
from unprompt.unprompter import Unprompter, load
from unprompt.vocabulary.ranking import nearest

MOST_CANDIDATES = 50
"""The most candidates of a record."""

TEXTS_LIMIT = 512
"""The most texts of a request."""

_REMEMBERED = 512
"""Answers kept for each kind of question, in case a picture is sent again."""

_BATCHES = 2
"""Batches in work at once: while one gets its words, the members vote on the next."""

_LIGHT_BATCH = 64
_LIGHT_CAPACITY = 4 * TEXTS_LIMIT

State: TypeAlias = Literal["loading", "ready", "stopping", "failed"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """How pictures are asked about: items of one kind share a batch, whoever sent them."""

    text: bool = True
    ignore_metadata: bool = False
    style: Style | None = None

    def answers(self, service: Service, items: Sequence[Upload]) -> Iterator[Prediction | Failure]:
        """The answers to some pictures, in order."""
        yield from service.unprompter.predict(
            [ImageRef(item.source, Bytes(item.data)) for item in items],
            batch_size=len(items),
            ignore_metadata=self.ignore_metadata,
            text=self.text,
            style=self.style,
            top=MOST_CANDIDATES,
            answers=service.remembered(self),
            **service.settings.picture_limits,
        )


@dataclass(frozen=True, slots=True)
class Interrogated:
    """How pictures are asked about in the dialect of CLIP Interrogator; `mode` "analyze" ranks terms."""

    mode: str

    def answers(self, service: Service, items: Sequence[Upload]) -> Iterator[Any]:
        """The answers to some pictures, in order: texts, tables of terms, or Failures."""
        for item in items:  # each takes as long as a batch of the others
            yield service.interrogators.answer(ImageRef(item.source, Bytes(item.data)), self.mode)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts to unit vectors (384,)."""

    def answers(self, service: Service, items: Sequence[str]) -> Iterable[Vector]:
        """The vectors, in order; each is that of the text alone, to the bit."""
        return (service.unprompter.encoder.encode([text])[0] for text in items)


@dataclass(frozen=True, slots=True)
class Written:
    """What generators wrote into files."""

    def answers(self, service: Service, items: Sequence[Upload]) -> Iterable[Record]:
        """The records, in order."""
        return (_written(ImageRef(item.source, Bytes(item.data)), service.settings) for item in items)


@dataclass(frozen=True, slots=True)
class Similar:
    """The prompts of the bank that are nearest to a vector of the metric space: (row, candidate) each."""

    count: int

    def answers(self, service: Service, items: Sequence[Vector]) -> Iterable[list[tuple[int, Candidate]]]:
        """The nearest prompts of each vector, nearest first."""
        bank = service.bank
        for rows, cosines in nearest(bank.sentences, np.stack(items), self.count):
            texts = bank.texts(rows.tolist())
            yield [
                (int(row), Candidate(text, float(cosine), "bank"))
                for row, text, cosine in zip(rows, texts, cosines, strict=True)
            ]


class Service:
    """The models of one process, with a queue of pictures and one of what needs no image model.

    The preset, the bank and the keys are checked at once, and raise as `unprompt.load` and `Bank.open` do. The models
    are loaded by `start`, in a thread. `unprompter` replaces the preset's own.
    """

    def __init__(self, settings: Settings, unprompter: Unprompter | None = None) -> None:
        self.settings = settings
        self.unprompter = unprompter or load(
            settings.preset, threads=settings.threads, offline=settings.offline, allow_missing=settings.allow_missing
        )
        self.bank = Bank.open(Path(settings.bank)) if settings.bank else Bank.open()
        self.interrogators = Interrogators(settings)
        self.telemetry = Telemetry()
        self.held = Held(int(settings.held_mb * 1_000_000))
        self.active = 0
        self.state: State = "loading"
        self.fault = ""
        self.pictures = Queue(
            self._work,
            capacity=settings.queue,
            batch_size=settings.batch_size,
            threads=_BATCHES,
            done=self.telemetry.done,
            name="unprompt-pictures",
        )
        self.light = Queue(
            self._work, capacity=_LIGHT_CAPACITY, batch_size=_LIGHT_BATCH, threads=1, name="unprompt-texts"
        )
        self.telemetry.watch(lambda: self.pictures.waiting, lambda: self.active)
        self._remembered: dict[Asked, RecentAnswers] = {}

    def start(self, failed: Callable[[Exception], None] = lambda _error: None) -> None:
        """Load the models in a thread; `failed` is called there with the error that keeps them from it."""
        threading.Thread(target=self._load, args=(failed,), name="unprompt-loading", daemon=True).start()

    def stop(self) -> None:
        """Answer no further request, and end the threads after their batches."""
        self.state = "stopping"
        self.pictures.close()
        self.light.close()

    def check_ready(self) -> None:
        """Raise Refusal (503) unless the models are loaded and the service is not stopping."""
        if self.state == "ready":
            return
        found = {"loading": "one that still loads its models", "stopping": "one that stops"}.get(
            self.state, f"one whose models cannot be loaded ({self.fault})"
        )
        raise Refusal(
            503, f"expected a service that is ready, found {found}; ask again", kind=self.state, retry_after_s=2
        )

    def remembered(self, asked: Asked) -> RecentAnswers:
        """The answers to questions of one kind."""
        return self._remembered.setdefault(asked, RecentAnswers(_REMEMBERED))

    def _work(self, key: Any, items: Sequence[Any]) -> Iterable[Any]:
        return key.answers(self, items)  # type: ignore[no-any-return]

    def _load(self, failed: Callable[[Exception], None]) -> None:
        try:
            self.unprompter.prepare(SILENT)
            grey = np.full((64, 64, 3), 128, np.uint8)
            list(self.unprompter.predict([grey], ignore_metadata=True))
            self.unprompter.encoder.encode([""])
        except Exception as error:
            self.fault = str(error) if isinstance(error, UnpromptError) else type(error).__name__
            self.state = "failed"
            _log.error("the models cannot be loaded: %s", self.fault)
            failed(error)
            return
        if self.state == "loading":
            self.state = "ready"
            _log.info("ready")


def _written(ref: ImageRef, settings: Settings) -> Record:
    """The record of `unprompt metadata`."""
    found = read_written(ref, read_beside=False, **settings.picture_limits)
    return failure_record(found) if isinstance(found, Failure) else metadata_record(ref.source, found)
