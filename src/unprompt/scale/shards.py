"""Shards of a run: each is answered by one worker at a time, and published whole by whoever finishes first.

    OUT/run.json                        what the workers agree on: `runs.py`
    OUT/parts/shard-00007.jsonl         a finished shard: a record a line, each with its position
    OUT/.work/shard-00007.1             a claim: `claims.py`
    OUT/.work/shard-00007.1-TOKEN.*     what the claim's owner writes, and nobody else: its part so far (.jsonl), the
                                        journal of its answers (.jsonl.journal) and where it is (.state)

Whoever takes a shard over copies what earlier owners left and goes on from there. An owner that slept longer than its
lease, and now writes beside its successor, does so in files of its own; of two parts, the second finds the name taken.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from unprompt.durable import write_errors
from unprompt.errors import DataError
from unprompt.scale.claims import BEATS, Claim, Claims
from unprompt.scale.places import PARTS, THEN, WORK, Place, Where, place_at

if TYPE_CHECKING:
    from unprompt.output.journal import Journal

POLL_S = 1.0
WINDOW = 200
"""Pictures after the last answer of a worker that died: more than it had in work at once."""

DEADLY = 3
"""So many workers have to die with one picture alone in work before it is taken for the reason."""

_PART, _JOURNAL, _STATE = ".jsonl", ".jsonl.journal", ".state"
_PUBLISHED = re.compile(r"shard-([0-9]{5,12})\.jsonl")
_POLLS = 10
"""A worker that waits long asks this many times less often."""
_LOOKED_AT = 32
"""Claims of others that are looked at in one round: a thousand workers that wait must not keep a file server busy."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can be claimed now; `reason` says who has what is left."""

    reason: str


class LostShardError(Exception):
    """Another worker took the shard over: this one was silent for longer than the lease."""


class Work:
    """A shard that this process has claimed. As a context manager, it is given up at the end."""

    def __init__(self, place: Place, shard: int, claim: Claim, claims: Claims) -> None:
        self.shard = shard
        self._place, self._claim, self._claims = place, claim, claims
        self._deaths: dict[int, set[str]] = {}
        self._interrupted = False
        self.lines = 0
        """Whole lines of earlier owners in the part."""

    @property
    def part(self) -> Path:
        """The file for the records; it may hold those of earlier owners, to be written again or replaced."""
        return self._beside(_PART)

    def adopt_answers(self, journal: Journal) -> None:
        """Copy the answers of earlier owners into the journal beside the part, and remove theirs.

        One of them may have been suspended and write on; what it writes from now on is lost, as its claim is.
        """
        for path in self._left(_JOURNAL):
            if path != self._beside(_JOURNAL):
                journal.adopt(path)
                for file in self._left(""):
                    if file.name.startswith(path.name):
                        _remove(file)

    def check(self) -> None:
        """Raise LostShardError if another worker has the shard. It costs nothing: heartbeats look."""
        if self._claim.seems_lost:
            raise LostShardError

    def is_lost(self) -> bool:
        """Whether another worker has the shard, as the place of the claims says now."""
        return self._claim.is_lost()

    @property
    def is_taken_over(self) -> bool:
        """Whether an earlier owner died, maybe by a picture of the shard."""
        return self._interrupted or bool(self._deaths)

    def is_suspect(self, number: int) -> bool:
        """Whether the shard's picture `number`, counted from 0, may have ended an earlier owner.

        It is to be answered alone, after `trying` it.
        """
        if number in self._deaths or not self._interrupted:
            return number in self._deaths
        # Without the part of the one that died, nobody knows how far it was.
        return not self._place.shared or self.lines <= number < self.lines + WINDOW

    def is_deadly(self, number: int) -> bool:
        """Whether a picture was alone in work when so many owners died that nobody shall try it again."""
        return len(self._deaths.get(number, ())) >= DEADLY

    def trying(self, number: int | None) -> None:
        """Note the picture that is read next, alone, for whoever finds this process dead; None: nothing special is."""
        self._write_state(trying=number)

    def publish(self) -> bool:
        """Give the part its name, and clean up; False if another worker did so before. Raises DataError."""
        try:
            first = self._place.publish(self.part, part_name(self.shard))
        except FileNotFoundError:  # the part itself is gone: a successor cleaned up
            if self.shard not in finished(self._place):
                raise
            first = False
        for path in self._left(""):
            _remove(path)
        for name in self._states():
            self._place.remove(name)
        self._claims.forget(_name(self.shard))
        return first

    def __enter__(self) -> Work:
        self._claim.__enter__()
        try:
            self._take_over()
        except BaseException:
            self._claim.__exit__()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.part.exists():  # not published, so for the next owner, who shall not take this for a death
            with contextlib.suppress(OSError, DataError):
                self._write_state(ended=True)
        self._claim.__exit__()

    def _take_over(self) -> None:
        """Copy the longest part that an earlier owner left, and gather where they died."""
        lines = {path: _whole_lines(path) for path in self._left(_PART)}
        states = self._states()
        for name in states:
            state = _state(self._place.read(name))
            self._interrupted |= not state.passed
            for number, owners in state.deaths.items():
                self._deaths.setdefault(number, set()).update(owners)
            if state.trying is not None:
                self._deaths.setdefault(state.trying, set()).add(name)
        longest = max(lines, key=lambda path: lines[path][0], default=None)
        self._write_state()
        with write_errors(self.part, THEN), self.part.open("wb") as file:
            if longest is not None:
                self.lines, size = lines[longest]
                _copy(longest, file, size)
        for name in states:
            self._place.remove(name)
        for path in lines:
            _remove(path)

    def _write_state(self, *, trying: int | None = None, ended: bool = False) -> None:
        deaths = {number: sorted(owners) for number, owners in self._deaths.items()}
        state = {"deaths": deaths, "trying": trying, "passed": ended and not self._interrupted}
        self._place.replace(f"{WORK}/{self._claim.token}{_STATE}", json.dumps(state).encode())

    def _states(self) -> list[str]:
        """The names of the states that owners of the shard wrote."""
        start = f"{_name(self.shard)}."
        names = self._place.names(WORK)
        return [f"{WORK}/{name}" for name in names if name.startswith(start) and name.endswith(_STATE)]

    def _beside(self, suffix: str) -> Path:
        return self._place.work / f"{self._claim.token}{suffix}"

    def _left(self, suffix: str) -> list[Path]:
        """The local files that owners of the shard wrote, this one included, but not their claims."""
        start = f"{_name(self.shard)}."
        try:
            names = sorted(os.listdir(self._place.work))
        except FileNotFoundError:
            return []
        # A dot in front: a state that was not put in place.
        own = [name for name in names if name.lstrip(".").startswith(start) and name.endswith(suffix)]
        return [self._place.work / name for name in own if not name.removeprefix(start).isdecimal()]


class Shards:
    """The shards of a run that was joined."""

    def __init__(self, where: Where, shards: int, lease_s: float) -> None:
        self._place, self._shards = place_at(where), shards
        self._claims = Claims(self._place.marks, stale_s=lease_s, heartbeat_s=lease_s / BEATS)

    def work(self, wanted: Collection[int], *, poll_s: float = POLL_S) -> Generator[Work | Waiting, None, None]:
        """Claim those of the wanted shards that nobody has, wait for the others, take over those of dead workers.

        At the end all wanted shards are published. Each `Work` is to be entered, published or not, and left before the
        next one is asked for. Raises DataError if the folder cannot be written to.
        """
        wait_s = poll_s
        while missing := set(wanted) - finished(self._place):
            work = self._claimed(missing)
            if work is not None:
                wait_s = poll_s
                yield work
            else:
                yield Waiting(self._reason(missing))
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, _POLLS * poll_s)
        if len(finished(self._place)) == self._shards:
            self._place.clear()

    def owners(self, shards: Collection[int]) -> Mapping[int, str]:
        """Who works on which of these shards."""
        owners = {shard: self._claims.owner(_name(shard)) for shard in shards}
        return {shard: str(owner) for shard, owner in owners.items() if owner is not None}

    def _claimed(self, missing: Collection[int]) -> Work | None:
        """One of the shards; first those that nobody has, then those whose owner may be dead."""
        with write_errors(str(self._place), THEN):
            held = self._claims.held()
            free = [shard for shard in missing if _name(shard) not in held]
            others = [shard for shard in missing if _name(shard) in held]
            # In an order of its own, so that workers that start together do not all reach for the same shard.
            for shards in (free, others):
                random.shuffle(shards)
            for shard in (*free, *others[:_LOOKED_AT]):
                claim = self._claims.take(_name(shard))
                if claim is None:
                    continue
                if shard not in finished(self._place):
                    return Work(self._place, shard, claim, self._claims)
                self._claims.forget(_name(shard))  # it was finished in the meantime
        return None

    def _reason(self, missing: Collection[int]) -> str:
        first = min(missing)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        owner = self.owners([first]).get(first, "another process")
        return f"waiting for shard {first}{more}, which {owner} has"


def finished(where: Where) -> set[int]:
    """The shards whose parts are published."""
    names = place_at(where).names(PARTS)
    return {int(found[1]) for found in map(_PUBLISHED.fullmatch, names) if found}


def part_name(shard: int) -> str:
    """The name of the part of a finished shard in the place of its run."""
    return f"{PARTS}/{_name(shard)}{_PART}"


@dataclass(frozen=True, slots=True)
class _State:
    """What an owner wrote last: who died with which picture alone in work, and which one it was trying itself.

    `passed` says that the owner ended by itself, and that whatever ended the ones before it was passed.
    """

    deaths: Mapping[int, Sequence[str]]
    trying: int | None
    passed: bool


def _state(content: bytes | None) -> _State:
    try:
        said = json.loads(content or b"")
        deaths = {int(number): [str(owner) for owner in owners] for number, owners in said["deaths"].items()}
        return _State(deaths, None if said["trying"] is None else int(said["trying"]), bool(said["passed"]))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return _State({}, None, False)


def _whole_lines(path: Path) -> tuple[int, int]:
    """How many whole lines a file has, and their bytes; it may be growing."""
    lines = size = place = 0
    with contextlib.suppress(OSError), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            lines += chunk.count(b"\n")
            if (last := chunk.rfind(b"\n")) >= 0:
                size = place + last + 1
            place += len(chunk)
    return lines, size


def _copy(path: Path, target: BinaryIO, size: int) -> None:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(size, _CHUNK))):
            target.write(chunk)
            size -= len(chunk)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _name(shard: int) -> str:
    return f"shard-{shard:05}"
