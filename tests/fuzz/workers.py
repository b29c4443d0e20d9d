"""Processes that run a target on one input after another, and a parent that outlives whatever happens to them."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz.inputs import Target, make
from fuzz.targets import CHECKS

Source = Callable[[Target, int, int], bytes]
Check = Callable[[bytes], None]

_POLL_S = 0.1
_START_S = 60
"""What a process has to import its modules and to make the seeds. Meanwhile its clock lies in the future."""
_RESERVE_FACTOR = 8
"""A process may reserve this many times the memory that it may hold: Pillow reserves much and touches little."""
_FAULT_LIMIT = 200
"""A run ends here: what fails so often needs no more examples."""
_DETAIL_LIMIT_CHARS = 3_000
_AFRESH = 77
"""The exit code of a process that has reported a fault and asks for a successor, because its memory is spoilt."""


@dataclass(frozen=True)
class Limits:
    """What one input may take: seconds by the clock, seconds of CPU, megabytes held by the process."""

    stuck_s: float = 20.0
    slow_cpu_s: float = 2.0
    memory_mb: int = 400


@dataclass(frozen=True)
class Fault:
    """An input that was too much. `kind` is an exception's name, "slow", "memory", "stuck" or "dead"."""

    index: int
    kind: str
    detail: str


@dataclass
class Summary:
    """What a run has shown. `chatter_bytes` is what libraries wrote to standard error behind Python's back."""

    inputs: int = 0
    seconds: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    slowest_cpu_s: float = 0.0
    slowest_index: int = 0
    highest_mb: float = 0.0
    chatter_bytes: int = 0


def fuzz(
    target: Target,
    seed: int,
    indices: range,
    jobs: int = 1,
    limits: Limits = Limits(),
    source: Source = make,
    check: Check | None = None,
) -> Summary:
    """Run a target on the inputs of these numbers; `source` and `check` stand in for the target's own in tests."""
    started = time.perf_counter()
    summary = Summary()
    with tempfile.TemporaryDirectory() as folder:
        tasks = (
            _Task(target, seed, indices[job::jobs], limits, Path(folder, str(job)), source, check or CHECKS[target])
            for job in range(jobs)
        )
        lanes = [_Lane(task, summary) for task in tasks]
        try:
            while sum(lane.watch() for lane in lanes) and len(summary.faults) < _FAULT_LIMIT:
                time.sleep(_POLL_S)
        finally:
            for lane in lanes:
                lane.stop()
        summary.chatter_bytes = sum(file.stat().st_size for file in Path(folder).iterdir())
    summary.seconds = time.perf_counter() - started
    summary.faults.sort(key=lambda fault: fault.index)
    return summary


@dataclass(frozen=True)
class _Task:
    """The inputs of one lane. `chatter` is the file that takes the place of standard error."""

    target: Target
    seed: int
    indices: range
    limits: Limits
    chatter: Path
    source: Source
    check: Check


class _Lane:
    """One process at a time, over the inputs of one task; a dead or stuck one is followed by the next."""

    def __init__(self, task: _Task, summary: Summary) -> None:
        self._task = task
        self._summary = summary
        self._context = multiprocessing.get_context("spawn")
        # What the process is doing: which of its inputs, since when; its slowest (s, index); its highest memory (MB).
        self._state = self._context.RawArray("d", 5)
        self._start(0)

    def _start(self, first: int) -> None:
        self._state[:2] = [first, time.monotonic() + _START_S]
        self._faults, end = self._context.Pipe(duplex=False)
        self._process = self._context.Process(target=_work, args=(self._task, first, self._state, end), daemon=True)
        self._process.start()
        end.close()

    def watch(self) -> bool:
        """Take what the process has to tell; whether there is, or will be, more."""
        alive = self._process.is_alive()  # asked before the last messages are taken
        self._receive()
        if alive:
            if time.monotonic() - self._state[1] > self._task.limits.stuck_s:
                self._note("stuck")
                self._follow()
            return True
        if self._process.exitcode == 0 or self._state[0] == len(self._task.indices):
            return False
        if time.monotonic() < self._state[1]:
            raise RuntimeError(f"a process could not begin its work: exit code {self._process.exitcode}")
        if self._process.exitcode != _AFRESH:
            self._note("dead")
        self._follow()
        return True

    def stop(self) -> None:
        """End the process, and count what it has done."""
        self._process.kill()
        self._process.join()
        done, _, slowest_s, slowest_index, highest_mb = self._state
        self._summary.inputs += int(done)
        self._summary.highest_mb = max(self._summary.highest_mb, highest_mb)
        if slowest_s > self._summary.slowest_cpu_s:
            self._summary.slowest_cpu_s, self._summary.slowest_index = slowest_s, int(slowest_index)

    def _follow(self) -> None:
        self._process.kill()
        self._process.join()
        self._faults.close()
        self._start(int(self._state[0]) + 1)

    def _receive(self) -> None:
        try:
            while self._faults.poll():
                self._summary.faults.append(Fault(*self._faults.recv()))
        except EOFError:  # the process has gone
            pass

    def _note(self, kind: str) -> None:
        """A fault that the process cannot tell of itself; its last words say where it was."""
        if kind == "stuck" and self._process.pid:
            os.kill(self._process.pid, signal.SIGABRT)  # faulthandler writes where each thread is, even inside C
            self._process.join(2)
        position = int(self._state[0])
        words = self._task.chatter.read_text("utf-8", "replace")[-_DETAIL_LIMIT_CHARS:]
        detail = f"exit code {self._process.exitcode}\n{words}"
        self._summary.faults.append(Fault(self._task.indices[position], kind, detail))


def _work(task: _Task, first: int, state: Any, faults: Connection) -> None:
    """The life of a process: one input after another, from the position `first` of its task."""
    _settle(task)
    with open("/proc/self/status", "rb") as status:
        for position in range(first, len(task.indices)):
            index = task.indices[position]
            data = task.source(task.target, task.seed, index)
            state[:2] = [position, time.monotonic()]
            started = time.process_time()
            if (error := _error(task.check, data)) is not None:
                faults.send((index, *error))
            took = time.process_time() - started
            if took > task.limits.slow_cpu_s:
                faults.send((index, "slow", f"{took:.1f} s of CPU"))
            if took > state[2]:
                state[2:4] = [took, index]
            memory = _highest_mb(status.fileno())
            state[4] = max(state[4], memory)
            if memory > task.limits.memory_mb:
                faults.send((index, "memory", f"{memory:.0f} MB"))
                sys.exit(_AFRESH)
    state[:2] = [len(task.indices), time.monotonic() + _START_S]  # leaving takes a while as well


def _settle(task: _Task) -> None:
    with open(task.chatter, "ab") as chatter:
        os.dup2(chatter.fileno(), 2)
    faulthandler.enable()
    task.source(task.target, task.seed, task.indices[0])  # makes the seeds, which takes more than an input may
    reserve = task.limits.memory_mb * 2**20 * _RESERVE_FACTOR
    resource.setrlimit(resource.RLIMIT_AS, (reserve, reserve))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _error(check: Check, data: bytes) -> tuple[str, str] | None:
    try:
        check(data)
    except Exception as error:
        return type(error).__name__, traceback.format_exc()[-_DETAIL_LIMIT_CHARS:]
    return None


def _highest_mb(status: int) -> float:
    """The most that this process has held so far. ru_maxrss would begin with what its parent held."""
    text = os.pread(status, 4096, 0)
    return int(text.split(b"VmHWM:", 1)[1].split(None, 1)[0]) / 1024
