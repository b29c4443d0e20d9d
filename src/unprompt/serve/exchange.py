"""Waits for the answers to one request: until they are there, the client goes away, or its time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request

from unprompt.serve.errors import Refusal
from unprompt.serve.queue import Queue


@dataclass(slots=True)
class Deadline:
    """The end of a request's time."""

    limit_s: float
    started: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return max(self.started + self.limit_s - time.monotonic(), 0.0)

    def missed(self) -> Refusal:
        """The refusal of a request whose time is over."""
        return Refusal(
            504,
            f"expected an answer within {self.limit_s:g} s, found a service that needs longer; "
            "ask again later or send fewer pictures at a time",
        )


async def answers(request: Request, queue: Queue, key: Hashable, items: Sequence[Any], deadline: Deadline) -> list[Any]:
    """All answers to some items, in their order.

    Raises Refusal (429, 503, 504), ClientDisconnect, or the exception that is an item's answer.
    """
    found: list[Any] = [None] * len(items)
    if not items:
        return found
    async with aclosing(answers_as_they_come(request, queue, key, items, deadline)) as coming:
        async for position, answer in coming:
            if isinstance(answer, Exception):
                raise answer
            found[position] = answer
    return found


async def answers_as_they_come(
    request: Request, queue: Queue, key: Hashable, items: Sequence[Any], deadline: Deadline
) -> AsyncGenerator[tuple[int, Any], None]:
    """Each answer with its item's position, in the order in which they are known; an answer may be an exception.

    Whatever ends it takes the items that still wait out of the queue. Raises Refusal (429, 503, 504) and
    ClientDisconnect.
    """
    ticket = queue.submit(key, items)
    gone = asyncio.ensure_future(_gone(request))
    try:
        for _ in items:
            if ticket.answers.empty():
                await _one_of(ticket.answers, gone, deadline)
            yield ticket.answers.get_nowait()
    finally:
        queue.cancel(ticket)
        gone.cancel()


async def _one_of(coming: asyncio.Queue[Any], gone: asyncio.Future[None], deadline: Deadline) -> None:
    """Wait until an answer is there."""
    first = asyncio.ensure_future(coming.get())
    try:
        await asyncio.wait({first, gone}, timeout=deadline.left_s, return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            raise ClientDisconnect if gone.done() else deadline.missed()
        coming.put_nowait(first.result())
    finally:
        first.cancel()


async def _gone(request: Request) -> None:
    """Return when the client goes away; its body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
