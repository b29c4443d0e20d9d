"""Actors that answer chunks. The pool notices which die, and with what in hand.

Ray would start a dead actor again and give it the same task for ever, so here it does neither: the chunk that a dead
actor had is answered once more picture by picture, by whichever actors are free. A picture that was alone with
`DEADLY` actors when they died is taken for the reason and becomes a failure; its neighbours are answered. An actor that
was killed for another reason costs its chunk once more, and no answer.

Ray Data is not used for this: it does not tell a task that it is tried again, and its blocks, not our chunks, would
decide what is lost. See `datasets.py` for pipelines of Ray Data.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from unprompt.errors import ClusterError, NodeError
from unprompt.scale.ray.answerer import Answerer, Asked, Broken, Refused
from unprompt.scale.ray.chunks import Chunk
from unprompt.scale.ray.rows import Row, failed

DEADLY = 3
"""So many actors have to die with one picture alone in work before it is taken for the reason."""

START_LIMIT_S = 600.0
"""How long the pool waits for a first actor, or for another one when all have died: a node may have to be started."""

_STILLBORN_LIMIT = 3
"""Actors that die one after the other before they are ready; the next would die as well."""

Actor: TypeAlias = Any
"""Ray's handle of an `Answerer`; Ray's types are not known where Ray is not installed."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one actor takes of its node: CPUs and GPUs, of which it may be a fraction."""

    cpus: float = 1.0
    gpus: float = 0.0

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}"


@dataclass(slots=True)
class _Alone:
    """A chunk that is answered picture by picture, because an actor died of it, or of something else meanwhile."""

    chunk: Chunk
    rows: dict[int, Row] = field(default_factory=dict)
    deaths: dict[int, int] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return len(self.rows) == len(self.chunk.refs)


@dataclass(frozen=True, slots=True)
class _Work:
    """What one actor has in hand: a whole chunk, or one picture of one."""

    chunk: Chunk
    alone: _Alone | None = None
    number: int = 0

    @property
    def refs(self) -> list[Any]:
        return list(self.chunk.refs) if self.alone is None else [self.chunk.refs[self.number]]


class Pool:
    """So many actors on a cluster that is joined. As a context manager it ends them."""

    def __init__(self, asked: Asked, actors: int, needs: Needs, *, start_limit_s: float = START_LIMIT_S) -> None:
        import ray

        self._ray, self._asked, self._start_limit_s = ray, asked, start_limit_s
        self._class = ray.remote(Answerer).options(
            num_cpus=needs.cpus, num_gpus=needs.gpus, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        self._needs, self._actors = needs, actors
        self._dead: tuple[type[Exception], ...] = (
            ray.exceptions.RayActorError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.ObjectLostError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.WorkerCrashedError,
        )
        self._starting: dict[Any, Actor] = {}
        self._free: list[Actor] = []
        self._busy: dict[Any, tuple[Actor, _Work]] = {}
        self._picky: deque[_Work] = deque()
        self._stillborn = 0
        self._idle_since_s = time.monotonic()

    def __enter__(self) -> Pool:
        for _ in range(self._actors):
            self._hire()
        return self

    def __exit__(self, *_error: object) -> None:
        for actor in (*self._starting.values(), *self._free, *(actor for actor, _ in self._busy.values())):
            self._ray.kill(actor)

    def answers(self, chunks: Iterable[Chunk]) -> Generator[tuple[Chunk, list[Row]], None, None]:
        """Yield each chunk with its rows as it is done, in any order; chunks are taken as actors become free.

        Raises NodeError (what an actor refuses, whatever the picture), ClusterError (no actor, or only dying ones).
        """
        left = iter(chunks)
        while self._give_out(left) or self._busy:
            yield from self._collect()

    def _give_out(self, chunks: Iterator[Chunk]) -> bool:
        """Give work to all who are free; false if there is none left to give."""
        while self._free or not (self._busy or self._picky):
            work = self._picky.popleft() if self._picky else next(map(_Work, chunks), None)
            if work is None:
                return False
            if not self._free:
                self._picky.append(work)  # until an actor is ready
                break
            actor = self._free.pop()
            self._busy[actor.answer.remote(work.refs)] = actor, work
        return True

    def _collect(self) -> Iterator[tuple[Chunk, list[Row]]]:
        waited_for = [*self._busy, *self._starting]
        ready, _ = self._ray.wait(waited_for, num_returns=1, timeout=5.0) if waited_for else ([], [])
        self._check_time()
        for reference in ready:
            if reference in self._starting:
                self._started(reference)
            else:
                yield from self._ended(reference)

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            refused = self._ray.get(reference)
        except self._dead as error:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN_LIMIT:
                raise ClusterError(f"{_STILLBORN_LIMIT} actors died as they started: {_reason(error)}") from error
            self._hire()
            return
        if refused is not None:
            raise NodeError(refused.message, refused.exit_code)
        self._stillborn = 0
        self._free.append(actor)

    def _ended(self, reference: Any) -> Iterator[tuple[Chunk, list[Row]]]:
        actor, work = self._busy.pop(reference)
        try:
            result = self._ray.get(reference)
        except self._dead as error:
            self._ray.kill(actor)  # it may be only out of reach, and would go on
            self._hire()
            yield from self._died(work, _reason(error))
            return
        self._free.append(actor)
        if isinstance(result, Refused):
            raise NodeError(result.message, result.exit_code)
        if work.alone is not None:
            row = failed(work.refs[0], raised(result)) if isinstance(result, Broken) else result[0]
            yield from self._settled(work, row)
        elif isinstance(result, Broken):
            self._pick(work.chunk)
        else:
            yield work.chunk, result

    def _died(self, work: _Work, reason: str) -> Iterator[tuple[Chunk, list[Row]]]:
        if work.alone is None:
            self._pick(work.chunk)
            return
        deaths = work.alone.deaths.get(work.number, 0) + 1
        work.alone.deaths[work.number] = deaths
        if deaths < DEADLY:
            self._picky.append(work)  # behind its neighbours
        else:
            yield from self._settled(work, failed(work.refs[0], deadly(reason)))

    def _settled(self, work: _Work, row: Row) -> Iterator[tuple[Chunk, list[Row]]]:
        assert work.alone is not None
        work.alone.rows[work.number] = row
        if work.alone.is_done:
            yield work.chunk, [work.alone.rows[number] for number in range(len(work.chunk.refs))]

    def _pick(self, chunk: Chunk) -> None:
        """Have a chunk answered picture by picture; one of a single picture is alone anyway."""
        alone = _Alone(chunk)
        self._picky += [_Work(chunk, alone, number) for number in range(len(chunk.refs))]

    def _hire(self) -> None:
        actor = self._class.remote(self._asked)
        self._starting[actor.prepare.remote()] = actor

    def _check_time(self) -> None:
        if self._busy or self._free:
            self._idle_since_s = time.monotonic()
        elif time.monotonic() - self._idle_since_s > self._start_limit_s:
            raise ClusterError(
                f"expected an actor of {self._needs} within {self._start_limit_s:.0f} s, found no node with that room; "
                "see `ray status`, and ask for less with --actor-cpus and --actor-gpus"
            )


def raised(broken: Broken) -> str:
    """What is said of a picture at which our own code fails."""
    return f"expected a picture, found one at which unprompt itself fails ({broken.message}); please report it"


def deadly(reason: str) -> str:
    """What is said of a picture with which processes died."""
    return f"expected a picture, found one with which {DEADLY} processes died, alone ({reason}); look at it elsewhere"


def _reason(error: Exception) -> str:
    """What Ray says, in one line and without its advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "\t" not in line[:1]]
    said = lines[-1] if getattr(error, "actor_init_failed", False) else " ".join(lines)
    said = said.partition(" Some common causes")[0]
    return said[:300]
