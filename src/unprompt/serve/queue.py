"""One queue for all requests, emptied in batches that are filled across them.

Each request is a ticket with its items. A batch takes one item of each ticket in turn, so a request of a hundred
pictures delays a request of one by a batch at most. What is refused, is refused at once, with the time after which
there will be room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from unprompt.serve.errors import Refusal

Work: TypeAlias = "Callable[[Any, Sequence[Any]], Iterable[Any]]"
"""Answers the items of one key, in order; it may yield each answer as soon as it is known."""

_FIRST_RATE = 4.0
"""Items a second that are assumed until some were measured."""

_WEIGHT = 0.3
"""The share of the newest batch in the measured rate."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Ticket:
    """One request's items that wait, and its answers as they come: (position, answer or exception)."""

    key: Hashable
    loop: asyncio.AbstractEventLoop
    waiting: deque[tuple[int, Any]]
    answers: asyncio.Queue[tuple[int, Any]] = field(default_factory=asyncio.Queue)
    is_cancelled: bool = False

    def deliver(self, position: int, answer: Any) -> None:
        """Hand an answer to the request. Safe to call from any thread; ignored if nobody waits any more."""
        if self.is_cancelled:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.answers.put_nowait, (position, answer))


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that was worked off: its size, and the seconds that its oldest item had waited and that it took."""

    items: int
    work_s: float


class Queue:
    """Items of many requests, worked off by some threads in batches of one key each.

    `work` answers a batch. At most `capacity` items wait; those of batches in work do not count. `done` is told of each
    batch.
    """

    def __init__(
        self,
        work: Work,
        *,
        capacity: int,
        batch_size: int,
        threads: int,
        name: str = "unprompt-queue",
        done: Callable[[Done], None] = lambda _done: None,
    ) -> None:
        self._work = work
        self._capacity = capacity
        self._batch_size = batch_size
        self._done = done
        self._tickets: deque[Ticket] = deque()
        self._waiting = 0
        self._in_work = 0
        self._rate = _FIRST_RATE
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads = [threading.Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Items that wait."""
        return self._waiting

    @property
    def in_work(self) -> int:
        """Items in batches that are being answered."""
        return self._in_work

    @property
    def rate(self) -> float:
        """Items a second, as measured over the last batches."""
        return self._rate

    def check_room(self, count: int) -> None:
        """Raise Refusal (429) if so many items would not find room now."""
        with self._changed:
            self._check_room(count)

    def submit(self, key: Hashable, items: Sequence[Any]) -> Ticket:
        """Queue a request's items; its answers come to the ticket. Raises Refusal: 429 if full, 503 if closed."""
        ticket = Ticket(key, asyncio.get_running_loop(), deque(enumerate(items)))
        with self._changed:
            if self._is_closed:
                raise Refusal(503, "expected a running service, found one that stops; ask again", retry_after_s=5)
            self._check_room(len(items))
            self._tickets.append(ticket)
            self._waiting += len(items)
            self._changed.notify(len(items))
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Take a request's items out of the queue. What is in work is finished, and its answer dropped."""
        with self._changed:
            ticket.is_cancelled = True
            self._waiting -= len(ticket.waiting)
            ticket.waiting.clear()
            with contextlib.suppress(ValueError):
                self._tickets.remove(ticket)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop after the batches in work; waits for these, but not longer than `timeout_s` for each thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _check_room(self, count: int) -> None:
        if self._waiting + count > self._capacity:
            raise Refusal(
                429,
                f"expected room for {count:,} in a queue of {self._capacity:,}, found {self._waiting:,} waiting; "
                "ask again after the seconds that Retry-After says",
                retry_after_s=(self._waiting + count - self._capacity + self._in_work) / self._rate,
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._tickets)
                if self._is_closed:
                    return
                key, batch = self._next_batch()
                self._in_work += len(batch)
            started = time.monotonic()
            self._answer(key, batch)
            with self._changed:
                self._in_work -= len(batch)
            self._measure(Done(len(batch), time.monotonic() - started))
            del batch  # a thread that waits must not keep pictures in memory

    def _next_batch(self) -> tuple[Any, list[tuple[Ticket, int, Any]]]:
        """One item of each ticket of the first one's key in turn; tickets of other keys come first the next time."""
        key = self._tickets[0].key
        same = deque(ticket for ticket in self._tickets if ticket.key == key)
        others = [ticket for ticket in self._tickets if ticket.key != key]
        batch: list[tuple[Ticket, int, Any]] = []
        while same and len(batch) < self._batch_size:
            ticket = same.popleft()
            batch.append((ticket, *ticket.waiting.popleft()))
            if ticket.waiting:
                same.append(ticket)
        self._waiting -= len(batch)
        self._tickets = deque([*others, *same])
        return key, batch

    def _answer(self, key: Any, batch: Sequence[tuple[Ticket, int, Any]]) -> None:
        """Deliver each answer as it comes; an exception goes to all that are still without one."""
        answered = 0
        try:
            for answer in self._work(key, [item for _ticket, _position, item in batch]):
                ticket, position, _item = batch[answered]
                ticket.deliver(position, answer)
                answered += 1
            if answered < len(batch):
                raise RuntimeError(f"{len(batch)} items got {answered} answers")
        except Exception as error:
            for ticket, position, _item in batch[answered:]:
                ticket.deliver(position, error)

    def _measure(self, done: Done) -> None:
        rate = len(self._threads) * done.items / max(done.work_s, 1e-4)
        self._rate += _WEIGHT * (rate - self._rate)
        try:
            self._done(done)
        except Exception:
            _log.exception("a batch could not be counted")
