"""Claims: how processes on several machines that share only a place for files agree on who does what.

A claim is a small file named after the work and a generation, such as `shard-00007.0`, whose creation succeeds once.
Its owner renews it every few seconds. A claim that was not renewed for long, or whose process is known to be dead, is
superseded by `shard-00007.1`, whose creation again succeeds once, and only then removed. So two processes that find the
same dead claim never both get it, and an owner that was only suspended notices that it lost: its own claim is gone. The
highest generation counts.

A claim says who ought to work, not who may write: its owner can be suspended at any moment for longer than any lease,
and go on writing when it wakes. So what is claimed has to be written where no other owner writes (`Claim.token` is
never used twice) and published by something that succeeds once. Then a clock that jumps or a lease that is too short
costs work done twice, and no answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

HEARTBEAT_S = 10.0
STALE_S = 120.0
"""Longer than an NFS client caches file attributes (60 s), and than a thread on a machine under load may be delayed."""

BEATS = 12
"""Heartbeats in a lease: some may be lost."""

_LIMIT_BYTES = 4096


class Marks(Protocol):
    """A place for small files that machines share. Every method may raise OSError."""

    def create(self, name: str, data: bytes) -> bool:
        """Make a file unless it exists; returns whether it did. Of several processes, only one does."""

    def read(self, name: str) -> bytes | None:
        """The first bytes of a file; None if there is none."""

    def renew(self, name: str) -> None:
        """Make the file new again. Raises FileNotFoundError if there is none."""

    def age_s(self, name: str) -> float | None:
        """Seconds since the file was made or renewed, by the clock of the place; None if there is no file."""

    def delete(self, name: str) -> None:
        """Remove a file, if there is one."""

    def names(self) -> list[str]:
        """The names of all files."""


class LocalMarks:
    """Marks in a folder, local or shared by NFS; it is created if missing, though its parent is not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, name: str, data: bytes) -> bool:
        self._folder.mkdir(exist_ok=True)
        try:
            # NFS honours O_EXCL too.
            descriptor = os.open(self._folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        return True

    def read(self, name: str) -> bytes | None:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(_LIMIT_BYTES)
        except FileNotFoundError:
            return None

    def renew(self, name: str) -> None:
        os.utime(self._folder / name)  # by the file server's clock

    def age_s(self, name: str) -> float | None:
        """By the file server's clock: clocks of two machines may differ."""
        probe = self._folder / f".now-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
        try:
            # Opening a file, unlike stat, makes an NFS client ask the server.
            with (self._folder / name).open("rb") as file:
                touched = os.fstat(file.fileno()).st_mtime
            with probe.open("wb") as file:
                now = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        return now - touched

    def delete(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self._folder / name).unlink()

    def names(self) -> list[str]:
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:
            return []


@dataclass(frozen=True)
class Owner:
    """The process that made a claim; `machine` is more than the host name, since containers may share one."""

    host: str
    machine: str
    process: int

    def is_known_dead(self) -> bool:
        """Whether the process ran on this machine and has ended; False if that cannot be known."""
        if sys.platform == "win32" or self.machine != _machine():
            return False
        try:
            os.kill(self.process, 0)  # signal 0 only checks that the process exists
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass
        return False

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class Claim:
    """Work that this process owns. As a context manager it keeps the claim alive and releases it at the end."""

    def __init__(self, marks: Marks, name: str, generation: int, content: bytes, heartbeat_s: float) -> None:
        self._marks, self._name, self._generation, self._content = marks, name, generation, content
        self._heartbeat_s = heartbeat_s
        self._ended, self._lost = threading.Event(), threading.Event()

    @property
    def token(self) -> str:
        """A name for what this owner writes, which no other owner of any work has or will have."""
        return f"{self._name}.{self._generation}-{json.loads(self._content)['token']}"

    def is_lost(self) -> bool:
        """Whether another process took this one for dead and superseded its claim, or even finished the work."""
        if not self._lost.is_set() and not self._is_mine():
            self._lost.set()
        return self._lost.is_set()

    @property
    def seems_lost(self) -> bool:
        """What `is_lost` said at the last heartbeat; asking costs nothing."""
        return self._lost.is_set()

    def __enter__(self) -> Claim:
        threading.Thread(target=self._beat, daemon=True, name=f"unprompt-claim-{self._name}").start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            if self._marks.read(self._file) == self._content:
                self._marks.delete(self._file)

    @property
    def _file(self) -> str:
        return f"{self._name}.{self._generation}"

    def _is_mine(self) -> bool:
        """Whether the claim counts; also where that cannot be known, for publishing will tell."""
        with contextlib.suppress(OSError):
            return self._marks.read(self._file) == self._content
        return True

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat_s):
            # Looking first: after a long sleep, one that lost must not renew what is no longer its own.
            if self.is_lost():
                return
            with contextlib.suppress(OSError):  # a file server may be briefly unavailable
                self._marks.renew(self._file)


class Claims:
    """The claims in a place; a folder is created if missing, though its parent is not.

    All who share the place need the same `stale_s`, and a `heartbeat_s` well below it.
    """

    def __init__(self, place: Path | Marks, *, stale_s: float = STALE_S, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._marks = LocalMarks(place) if isinstance(place, Path) else place
        self._stale_s, self._heartbeat_s = stale_s, heartbeat_s

    def take(self, name: str) -> Claim | None:
        """Claim the work `name`; None if a process that may be alive holds it.

        After taking a claim, check whether the work was finished in the meantime. Raises OSError if the place cannot
        be written to.
        """
        held = _generation(self._marks, name)
        if held is not None and not self._is_dead(f"{name}.{held}"):
            return None
        generation = 0 if held is None else held + 1
        mine = Owner(socket.gethostname(), _machine(), os.getpid())
        content = json.dumps({**asdict(mine), "token": os.urandom(6).hex()}).encode()
        file = f"{name}.{generation}"
        self._marks.create(file, content)
        # What it answers may be wrong either way, where a request is repeated whose answer was lost. The content tells.
        if self._marks.read(file) != content:
            return None  # another process was faster
        return self._only(Claim(self._marks, name, generation, content, self._heartbeat_s), name, generation)

    def _only(self, claim: Claim, name: str, generation: int) -> Claim | None:
        """The claim, once those before it are gone; None if there is a later one, of which it knew nothing."""
        others = [number for number in _generations(self._marks, name) if number != generation]
        for number in [generation] if max(others, default=-1) > generation else others:
            with contextlib.suppress(OSError):
                self._marks.delete(f"{name}.{number}")
        return claim if max(others, default=-1) < generation else None

    def held(self) -> set[str]:
        """The works that are claimed, by processes that live or do not."""
        split = [found.rpartition(".") for found in self._marks.names()]
        return {stem for stem, _, generation in split if generation.isdecimal()}

    def owner(self, name: str) -> Owner | None:
        """The owner of the work `name`; None if nobody has claimed it or the claim cannot be read."""
        held = _generation(self._marks, name)
        return None if held is None else self._owner(f"{name}.{held}")

    def forget(self, name: str) -> None:
        """Remove the claims that dead processes left on finished work."""
        for generation in sorted(_generations(self._marks, name)):  # the highest, which counts, is removed last
            with contextlib.suppress(OSError):
                self._marks.delete(f"{name}.{generation}")

    def _is_dead(self, file: str) -> bool:
        owner = self._owner(file)
        if owner is not None and owner.is_known_dead():
            return True
        age_s = self._marks.age_s(file)
        return age_s is not None and age_s > self._stale_s

    def _owner(self, file: str) -> Owner | None:
        try:
            said = json.loads(self._marks.read(file) or b"")
            return Owner(str(said["host"]), str(said["machine"]), int(said["process"]))
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            return None  # just created, just removed, or not a claim


def _generation(marks: Marks, name: str) -> int | None:
    """The generation of the claim that counts; None if there is no claim."""
    return max(_generations(marks, name), default=None)


def _generations(marks: Marks, name: str) -> list[int]:
    split = [found.rpartition(".") for found in marks.names()]
    return [int(generation) for stem, _, generation in split if stem == name and generation.isdecimal()]


def _machine() -> str:
    """Identifies this machine since its start and, on Linux, this container: the scope of a process number."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)
