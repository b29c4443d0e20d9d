"""A folder of good pictures and files that are not, built by code; each knows what must become of it.

What lies in it: headers that promise more than the limits allow, flat pictures of a few KB and many megapixels, large
files, good ones and junk, texts, profiles and EXIF that unpack to much, files cut short, files that are no pictures or
are called after another format, sparse files, pipes, sockets, devices, links in loops, links into /proc and /sys, a
closed folder, files that change, names and texts that a terminal would obey. What costs a decoder more time or memory
than it has is in no file: tests/images proves with low limits that it is refused.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hostile import contents

from unprompt.images.files import FILE_LIMIT_MB

ANSWERED = "answered"

Outcomes = frozenset[str]
"""What may become of a file: ANSWERED or kinds of Failure; several where it depends on the moment or the system."""

ODD_NAMES = (
    "new\nline.png",
    "tab\tescape\x1b[2J\x1b]0;owned\x07.png",
    "c1 \x9b31m \x85.png",
    "\u202egnp.exe \u2066.png",
    "zero\u200bwidth\ufeff.png",
    "no utf-8 \udcff\udcfe\udc80.png",
    "x" * 251 + ".png",
    "-o.png",
    "--help.png",
    "@x.png",
    "a[1]*?.png",
    "http:\\x.png",
    " .PNG",
    "%s{0}$(id)`id`;'\".png",
    "=1+1.png",
)


@dataclass(frozen=True, slots=True)
class Size:
    """The limits to run under, and how large the large ones are. The files' own bytes and what they unpack to are
    bounded apart.
    """

    pixel_limit_mp: float
    memory_limit_mb: float
    megapixels: float
    webp_megapixels: float
    megabytes: int
    text_megabytes: int
    chunks: int

    @property
    def options(self) -> tuple[object, ...]:
        """The limits as the command takes them."""
        return "--pixel-limit-mp", self.pixel_limit_mp, "--memory-limit-mb", self.memory_limit_mb


SMALL = Size(2, 12, megapixels=1.9, webp_megapixels=0.9, megabytes=4, text_megabytes=9, chunks=5_000)
FULL = Size(100, 180, megapixels=39, webp_megapixels=14, megabytes=60, text_megabytes=20, chunks=100_000)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    outcomes: Outcomes
    make: Callable[[str], object]


def build(folder: Path, size: Size, *, good_for_each: int = 2) -> dict[str, Outcomes]:
    """Fills the folder; what may become of each file, by its path as a walk over the folder names it.

    `good_for_each` is how many good pictures stand beside each hostile file.
    """
    outcomes = {}
    for file in _interspersed(_hostile(size), good_for_each):  # one at a time: together they fill the memory
        path = os.path.join(folder, file.name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file.make(path)
        outcomes[path] = file.outcomes
    closed = folder / "closed"
    closed.mkdir()
    (closed / "unseen.png").write_bytes(contents.picture("png", 0))
    closed.chmod(0)
    (folder / "called like a picture.png").mkdir()
    (folder / "again").symlink_to(folder, target_is_directory=True)  # not entered: it would never end
    outcomes[str(closed)] = frozenset({"unreadable"})
    return outcomes


def may_be_unseen(path: str) -> bool:
    """Whether a file is away, now and then, while its folder is listed."""
    return os.path.basename(path) == "vanishes.png"


def is_hostile(path: str) -> bool:
    """Whether one of these files is there to do harm."""
    return not os.path.basename(path).startswith("good")


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """While the block runs, another process writes to the files in `changing`, removes them, and puts others there."""
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, os.path.join(folder, "changing")])
    try:
        yield
    finally:
        writer.kill()
        writer.wait()


_WRITER = """
import itertools, os, sys, time
os.chdir(sys.argv[1])
whole = {name: open(name, "rb").read() for name in ("grows.png", "shrinks.png", "vanishes.png", "replaced.png")}
for turn in itertools.count():
    with open("grows.png", "ab" if turn % 5000 else "wb") as file:
        file.write(bytes(9) if turn % 5000 else whole["grows.png"])
    os.truncate("shrinks.png", turn % 7 * 100)
    with open("shrinks.png", "r+b") as file:
        file.write(whole["shrinks.png"])
    for name in ("vanishes.png", "replaced.png"):
        with open("new", "wb") as file:
            file.write(whole[name])
        if name == "vanishes.png" and turn % 2:
            os.remove(name)
        os.replace("new", name)
    time.sleep(0.0005)
"""


def _interspersed(hostile: Iterable[_File], good_for_each: int) -> Iterator[_File]:
    good = _good()
    for file in hostile:
        yield file
        yield from itertools.islice(good, good_for_each)


def _good() -> Iterator[_File]:
    """Pictures, each another one; every third is called after another format, in capitals."""
    formats = contents.FORMATS
    for number in itertools.count():
        format = formats[number % len(formats)]
        suffix = formats[(number + 1) % len(formats)].upper() if number % 3 == 0 else format
        yield _written(f"good {number}.{suffix}", contents.picture(format, 1000 + number), ANSWERED)


def _hostile(size: Size) -> Iterator[_File]:
    yield from _too_large(size)
    yield from _heavy(size)
    yield from _broken()
    yield from _special()
    yield from _linked()
    yield from _talking(size)
    yield from _changing()


def _too_large(size: Size) -> Iterator[_File]:
    side = math.isqrt(int(size.pixel_limit_mp * 1e6)) + 10
    for format in contents.FORMATS:
        yield _written(f"too large/header.{format}", contents.promising(format, side, side), "too-large")
    long = int(size.pixel_limit_mp * 1e6) + 1
    yield _written("too large/long.png", contents.promising("png", 1, long), "too-large")
    yield _written("too large/memory.webp", contents.flat_webp(size.webp_megapixels * 1.3), "too-large")
    for head in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0"):
        yield _sparse(f"too large/sparse {len(head)}.png", head, (FILE_LIMIT_MB + 1) * 10**6, "too-large")


def _heavy(size: Size) -> Iterator[_File]:
    for number in range(2):  # two at once, in two threads
        yield _written(f"heavy/flat {number}.png", contents.flat_png(size.megapixels - number / 8), ANSWERED)
        yield _written(f"heavy/flat {number}.webp", contents.flat_webp(size.webp_megapixels - number / 8), ANSWERED)
        yield _written(f"heavy/raw {number}.tiff", contents.raw_tiff(size.megabytes - number), ANSWERED)
        yield _written(f"heavy/long {number}.png", contents.long_png(size.megabytes - number), ANSWERED)
        megabytes = (size.megabytes - number) * 10**6
        yield _sparse(f"heavy/junk {number}.png", b"\x89PNG\r\n\x1a\n", megabytes, "truncated")
        yield _sparse(f"heavy/junk {number}.jpg", b"\xff\xd8\xff\xe0", 100_000 - number, "truncated")
    yield _written("heavy/crumbs.png", contents.crumbled_png(size.chunks), ANSWERED)


def _broken() -> Iterator[_File]:
    for format in contents.FORMATS:
        for part in (0.3, 0.7):
            yield _written(f"broken/{part:.0%}.{format}", contents.cut_short(format, part), "truncated")
    for number, data in enumerate(contents.no_pictures()):
        yield _written(f"broken/none {number}.jpg", data, "not-a-picture")
    yield _written("broken/\x1b[2J\nno utf-8 \udcff.png", b"\x1b[2J\x07", "not-a-picture")


def _special() -> Iterator[_File]:
    yield _File("special/pipe.png", frozenset({"unreadable"}), os.mkfifo)
    yield _File("special/socket.png", frozenset({"unreadable"}), _bind)


def _linked() -> Iterator[_File]:
    for target in ("/dev/zero", "/dev/tty", "/dev/stdin", "/dev/random", "../special/pipe.png"):
        yield _linked_to(target, "unreadable", "not-found")
    yield _linked_to("nowhere.png", "not-found")
    yield _linked_to("../heavy/crumbs.png/below", "not-found")
    yield _File("linked/loop.png", frozenset({"unreadable"}), lambda path: os.symlink("loop.png", path))
    for target in (
        "/proc/self/mem",
        "/proc/self/environ",
        "/proc/kmsg",
        "/sys/kernel/uevent_seqnum",
        "/proc/self/pagemap",
    ):
        yield _linked_to(target, "unreadable", "not-found", "not-a-picture")


def _talking(size: Size) -> Iterator[_File]:
    for number, data in enumerate(contents.told_at_length(size.text_megabytes)):
        yield _written(f"heavy/told {number}.png", data, ANSWERED)
    for number, data in enumerate(contents.told_escapes()):
        yield _written(f"talking/escapes {number}.png", data, ANSWERED)
    for number, name in enumerate(ODD_NAMES):
        yield _written(f"odd names/{name}", contents.picture("png", 500 + number), ANSWERED)


def _changing() -> Iterator[_File]:
    anything = (ANSWERED, "changed", "truncated", "not-found", "not-a-picture")
    for number, name in enumerate(("grows", "shrinks", "vanishes", "replaced")):
        yield _written(f"changing/{name}.png", contents.picture("png", 600 + number, side=512), *anything)


def _written(name: str, data: bytes, *outcomes: str) -> _File:
    return _File(name, frozenset(outcomes), lambda path: Path(path).write_bytes(data))


def _sparse(name: str, head: bytes, size: int, *outcomes: str) -> _File:
    """Nearly all of it is a hole, which takes no room on the disk."""

    def make(path: str) -> None:
        Path(path).write_bytes(head)
        os.truncate(path, size)

    return _File(name, frozenset(outcomes), make)


def _linked_to(target: str, *outcomes: str) -> _File:
    name = target.strip("./").replace("/", " ")
    return _File(f"linked/{name}.jpg", frozenset(outcomes), lambda path: os.symlink(target, path))


def _bind(path: str) -> None:
    """A socket. Its address may have a hundred bytes, so it is made where its folder is short."""
    folder = os.open(os.path.dirname(path), os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
