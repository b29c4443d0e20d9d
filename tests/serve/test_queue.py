"""The queue: batches across requests, fairness, room, and what becomes of faults."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from services import wait_for

from unprompt.serve.errors import Refusal
from unprompt.serve.queue import Done, Queue, Ticket


class Worker:
    """Answers each item with itself once the gate is open, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[Any, list[Any]]] = []
        self.gate = threading.Event()

    def __call__(self, key: Any, items: Sequence[Any]) -> Iterable[Any]:
        self.batches.append((key, list(items)))
        self.gate.wait(60)
        for item in items:
            if item == "broken":
                raise ValueError("broken")
            yield item


@pytest.fixture
def made() -> Iterable[tuple[Worker, Callable[..., Queue]]]:
    worker = Worker()
    queues = []

    def make(**more: Any) -> Queue:
        queues.append(Queue(worker, **{"capacity": 100, "batch_size": 4, "threads": 1, **more}))
        return queues[-1]

    yield worker, make
    worker.gate.set()
    for queue in queues:
        queue.close()


async def taken(ticket: Ticket, count: int) -> list[Any]:
    found = dict([await ticket.answers.get() for _ in range(count)])
    return [found[position] for position in range(count)]


async def busy(queue: Queue, worker: Worker) -> None:
    """Keep the only thread at work on an item of its own until the gate opens."""
    queue.submit("first", ["first"])
    while not worker.batches:
        await asyncio.sleep(0.01)


def test_a_hundred_do_not_starve_one(made: tuple[Worker, Callable[..., Queue]]) -> None:
    worker, make = made

    async def ask() -> None:
        queue = make(capacity=200)
        await busy(queue, worker)
        many, one = queue.submit("k", list(range(100))), queue.submit("k", ["one"])
        worker.gate.set()
        assert await taken(one, 1) == ["one"]
        assert await taken(many, 100) == list(range(100))

    asyncio.run(ask())
    assert worker.batches[1] == ("k", [0, "one", 1, 2])


def test_keys_take_turns_and_never_share_a_batch(made: tuple[Worker, Callable[..., Queue]]) -> None:
    worker, make = made

    async def ask() -> None:
        queue = make()
        await busy(queue, worker)
        tickets = [queue.submit("a", list(range(8))), queue.submit("b", ["b"]), queue.submit("a", ["c"])]
        worker.gate.set()
        for ticket, count in zip(tickets, (8, 1, 1), strict=True):
            await taken(ticket, count)

    asyncio.run(ask())
    assert [key for key, _items in worker.batches[1:4]] == ["a", "b", "a"]
    assert worker.batches[1][1] == [0, "c", 1, 2]


def test_a_full_queue_says_when_there_will_be_room(made: tuple[Worker, Callable[..., Queue]]) -> None:
    worker, make = made

    async def ask() -> None:
        queue = make(capacity=5)
        await busy(queue, worker)
        queue.submit("k", [1, 2, 3])
        with pytest.raises(Refusal) as refused:
            queue.submit("k", [4, 5, 6])
        assert refused.value.status == 429
        assert 1 <= int(refused.value.headers["Retry-After"]) <= 60
        ticket = queue.submit("k", [4, 5])
        worker.gate.set()
        assert await taken(ticket, 2) == [4, 5]

    asyncio.run(ask())


def test_what_is_cancelled_leaves_the_queue(made: tuple[Worker, Callable[..., Queue]]) -> None:
    worker, make = made

    async def ask() -> None:
        queue = make(capacity=4)
        await busy(queue, worker)
        queue.cancel(queue.submit("k", [1, 2, 3]))
        assert queue.waiting == 0
        ticket = queue.submit("k", [4, 5, 6, 7])
        worker.gate.set()
        await taken(ticket, 4)
        queue.cancel(ticket)  # a second time, and after its end, is no fault

    asyncio.run(ask())
    assert [items for _key, items in worker.batches] == [["first"], [4, 5, 6, 7]]


def test_a_fault_goes_to_those_without_an_answer(made: tuple[Worker, Callable[..., Queue]]) -> None:
    worker, make = made
    worker.gate.set()

    async def ask() -> None:
        queue = make()
        first, second, third = await taken(queue.submit("k", ["fine", "broken", "late"]), 3)
        assert first == "fine"
        assert isinstance(second, ValueError)
        assert isinstance(third, ValueError)
        assert await taken(queue.submit("k", ["next"]), 1) == ["next"]

    asyncio.run(ask())


def test_a_missing_answer_is_a_fault(made: tuple[Worker, Callable[..., Queue]]) -> None:
    async def ask() -> None:
        queue = Queue(lambda _key, items: items[:1], capacity=9, batch_size=9, threads=1)
        first, second = await taken(queue.submit("k", ["fine", "lost"]), 2)
        assert first == "fine"
        assert isinstance(second, RuntimeError)
        queue.close()

    asyncio.run(ask())


def test_a_closed_queue_takes_nothing(made: tuple[Worker, Callable[..., Queue]]) -> None:
    worker, make = made
    worker.gate.set()

    async def ask() -> None:
        queue = make()
        queue.close()
        with pytest.raises(Refusal) as refused:
            queue.submit("k", [1])
        assert refused.value.status == 503

    asyncio.run(ask())


def test_batches_are_measured(made: tuple[Worker, Callable[..., Queue]]) -> None:
    worker, make = made
    worker.gate.set()
    done: list[Done] = []

    async def ask() -> None:
        queue = make(done=done.append)
        before = queue.rate
        await taken(queue.submit("k", list(range(8))), 8)
        wait_for(lambda: sum(batch.items for batch in done) == 8)
        assert queue.rate > before  # nothing was done, quickly

    asyncio.run(ask())
