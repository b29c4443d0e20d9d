"""Claims: how processes on several machines that share only a folder agree on who does what.

A claim is a file named after the work and a generation, such as `shard-00007.0`, whose creation succeeds once (O_EXCL,
which NFS honours too). Its owner touches it every few seconds. A claim that was not touched for long, or whose process
is known to be dead, is not removed but superseded by `shard-00007.1`, whose creation again succeeds once. So two
processes that find the same dead claim never both get it, and an owner that was only suspended notices that it lost.
The highest generation counts.
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
"""Longer than an NFS client caches file attributes (60 s), and than a thread on a machine under load may be delayed."""

_LIMIT_BYTES = 4096


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

    def __init__(self, path: Path, generation: int, heartbeat_s: float) -> None:
        self._path, self._generation = path, generation
        self._heartbeat_s = heartbeat_s
        self._ended = threading.Event()

    def is_lost(self) -> bool:
        """Whether another process took this one for dead and superseded its claim, or even finished the work."""
        return _generation(self._path) != self._generation

    def __enter__(self) -> Claim:
        threading.Thread(target=self._beat, daemon=True, name=f"unprompt-claim-{self._path.name}").start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        _remove(_file(self._path, self._generation))

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat_s):
            with contextlib.suppress(OSError):  # a file server may be briefly unavailable
                os.utime(_file(self._path, self._generation))


class Claims:
    """The claims in a folder, which is created if missing, though its parent is not."""

    def __init__(self, folder: Path, *, stale_s: float = STALE_S, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._folder, self._stale_s, self._heartbeat_s = folder, stale_s, heartbeat_s

    def take(self, name: str) -> Claim | None:
        """Claim the work `name`; None if a process that may be alive holds it.

        After taking a claim, check whether the work was finished in the meantime. Raises OSError if the folder cannot
        be written to.
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
            return None  # another process was faster
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(vars(mine), file)
        return Claim(path, generation, self._heartbeat_s)

    def owner(self, name: str) -> Owner | None:
        """The owner of the work `name`; None if nobody has claimed it or the claim cannot be read."""
        path = self._folder / name
        held = _generation(path)
        return None if held is None else _owner(_file(path, held))

    def forget(self, name: str) -> None:
        """Remove the claims that dead processes left on finished work."""
        path = self._folder / name
        for generation in sorted(_generations(path)):  # the highest, which counts, is removed last
            _remove(_file(path, generation))

    def _is_dead(self, claim: Path) -> bool:
        owner = _owner(claim)
        if owner is not None and owner.is_known_dead():
            return True
        age_s = self._age_s(claim)
        return age_s is not None and age_s > self._stale_s

    def _age_s(self, claim: Path) -> float | None:
        """Seconds since the file was touched, by the file server's clock: clocks of two machines may differ."""
        probe = self._folder / f".now-{socket.gethostname()}-{os.getpid()}"
        try:
            # Opening a file, unlike stat, makes an NFS client ask the server.
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
    """The generation of the claim that counts; None if there is no claim."""
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
        return None  # just created, just removed, or not a claim


def _file(path: Path, generation: int) -> Path:
    return path.with_name(f"{path.name}.{generation}")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _machine() -> str:
    """Identifies this machine since its start and, on Linux, this container: the scope of a process number."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)
