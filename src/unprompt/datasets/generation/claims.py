"""Who works on what, where several machines share a folder and nothing else.

A claim is a file whose creation succeeds once (O_EXCL, which NFS keeps too), named by the work and a generation:
`shard-00007.0`. Its owner touches it every few seconds. A claim that nobody touched for long, or whose process is known
to be dead, is not removed but overtaken: by `shard-00007.1`, whose creation succeeds once again. So two that find the
same dead claim never both get it, and an owner that only slept sees that it lost. The highest generation counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

HEARTBEAT_S = 10.0
STALE_S = 120.0
"""Longer than an NFS client keeps what it knows of a file (60 s), and than a machine under load forgets its threads."""

_LIMIT_BYTES = 4096


@dataclass(frozen=True)
class Owner:
    """Who made a claim; `machine` is more than its name, for containers may share one."""

    host: str
    machine: str
    process: int

    def is_known_dead(self) -> bool:
        """Whether the process ran here and does no more; False where nobody can know."""
        if sys.platform == "win32" or self.machine != _machine():
            return False
        try:
            os.kill(self.process, 0)  # sends nothing
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass
        return False

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class Claim:
    """A piece of work that is this process's own. As a context it is kept alive, and given up at the end."""

    def __init__(self, path: Path, generation: int, heartbeat_s: float) -> None:
        self._path, self._generation = path, generation
        self._heartbeat_s = heartbeat_s
        self._ended = threading.Event()

    def is_lost(self) -> bool:
        """Whether another process took this one for dead and has overtaken it, or even done the work."""
        return _generation(self._path) != self._generation

    def __enter__(self) -> Claim:
        threading.Thread(target=self._beat, daemon=True, name=f"unprompt-claim-{self._path.name}").start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        _remove(_file(self._path, self._generation))

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat_s):
            with contextlib.suppress(OSError):  # a file server that is away for a moment
                os.utime(_file(self._path, self._generation))


class Claims:
    """The claims in a folder, which is made where it is missing, though not the one around it."""

    def __init__(self, folder: Path, *, stale_s: float = STALE_S, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._folder, self._stale_s, self._heartbeat_s = folder, stale_s, heartbeat_s

    def take(self, name: str) -> Claim | None:
        """A claim of the work `name`; None where a process that may be alive has it.

        Whoever takes it looks then whether the work has been done meanwhile. Raises OSError where the folder cannot be
        written to.
        """
        path = self._folder / name
        held = _generation(path)
        if held is not None and not self._is_dead(_file(path, held)):
            return None
        generation = 0 if held is None else held + 1
        self._folder.mkdir(exist_ok=True)
        mine = Owner(socket.gethostname(), _machine(), os.getpid())
        try:
            descriptor = os.open(_file(path, generation), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return None  # another was faster
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(vars(mine), file)
        return Claim(path, generation, self._heartbeat_s)

    def owner(self, name: str) -> Owner | None:
        """Who has the work `name`; None where nobody has it, or does not say."""
        path = self._folder / name
        held = _generation(path)
        return None if held is None else _owner(_file(path, held))

    def forget(self, name: str) -> None:
        """Removes what dead processes left of work that has been done."""
        path = self._folder / name
        for generation in sorted(_generations(path)):  # the highest, which counts, goes last
            _remove(_file(path, generation))

    def _is_dead(self, claim: Path) -> bool:
        owner = _owner(claim)
        if owner is not None and owner.is_known_dead():
            return True
        age_s = self._age_s(claim)
        return age_s is not None and age_s > self._stale_s

    def _age_s(self, claim: Path) -> float | None:
        """Seconds since the file was touched, by the clock of the file server: those of two machines may differ."""
        probe = self._folder / f".now-{socket.gethostname()}-{os.getpid()}"
        try:
            # Opening, unlike a look at its name, makes an NFS client ask the server.
            with claim.open("rb") as file:
                touched = os.fstat(file.fileno()).st_mtime
            with probe.open("wb") as file:
                now = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        finally:
            _remove(probe)
        return now - touched


def _generation(path: Path) -> int | None:
    """Of the claim that counts; None where there is none."""
    return max(_generations(path), default=None)


def _generations(path: Path) -> list[int]:
    try:
        names = os.listdir(path.parent)
    except FileNotFoundError:
        return []
    split = [name.rpartition(".") for name in names]
    return [int(generation) for stem, _, generation in split if stem == path.name and generation.isdecimal()]


def _owner(claim: Path) -> Owner | None:
    try:
        with claim.open("rb") as file:
            said = json.loads(file.read(_LIMIT_BYTES))
        return Owner(str(said["host"]), str(said["machine"]), int(said["process"]))
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None  # just made, or just removed, or somebody else's file


def _file(path: Path, generation: int) -> Path:
    return path.with_name(f"{path.name}.{generation}")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _machine() -> str:
    """This machine since it was started and, on Linux, this container of it: where a process number says who."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)
