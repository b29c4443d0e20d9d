"""Ways to damage a file. Each takes a generator of random numbers, the file and another one to borrow from."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from fuzz.chunks import join, mend_checksums, split

LARGEST_BYTES = 200_000
"""What grows past this is cut: an input should take a millisecond, and a few of these in a thousand still do harm."""

EDGES = (0, 1, 2, 4, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1)
_FORMATS = ("B", ">H", "<H", ">I", "<I")

Mutation = Callable[[Random, bytes, bytes], bytes]


def truncate(random: Random, data: bytes, _other: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def flip_bits(random: Random, data: bytes, _other: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        damaged[_position(random, data)] ^= 1 << random.randrange(8)
    return bytes(damaged)


def set_number(random: Random, data: bytes, _other: bytes) -> bytes:
    """A number at the edge of its range in the place of whatever is there."""
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        form = random.choice(_FORMATS)
        size = struct.calcsize(form)
        value = random.choice(EDGES) + random.choice((0, 0, 0, 1, -1, len(data)))
        at = _position(random, data)
        damaged[at : at + size] = struct.pack(form, value & (256**size - 1))
    return bytes(damaged)


def cut_out(random: Random, data: bytes, _other: bytes) -> bytes:
    start, end = _span(random, data)
    return data[:start] + data[end:]


def double(random: Random, data: bytes, _other: bytes) -> bytes:
    start, end = _span(random, data)
    return data[:end] + data[start:end] * random.choice((1, 1, 3, 20)) + data[end:]


def overwrite(random: Random, data: bytes, _other: bytes) -> bytes:
    start, end = _span(random, data)
    filling = random.choice((bytes(end - start), b"\xff" * (end - start), random.randbytes(end - start)))
    return data[:start] + filling + data[end:]


def splice(random: Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of another, perhaps of a different format."""
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def lose_chunk(random: Random, data: bytes, _other: bytes) -> bytes:
    head, *chunks = split(data)
    if chunks:
        del chunks[random.randrange(len(chunks))]
    return join(head, chunks)


def repeat_chunk(random: Random, data: bytes, _other: bytes) -> bytes:
    head, *chunks = split(data)
    if chunks:
        at = random.randrange(len(chunks))
        times = min(random.choice((1, 2, 10, 1000)), LARGEST_BYTES // (len(chunks[at]) + 1))
        chunks[at:at] = [chunks[at]] * times
    return join(head, chunks)


def swap_chunks(random: Random, data: bytes, _other: bytes) -> bytes:
    head, *chunks = split(data)
    if len(chunks) > 1:
        one, two = random.randrange(len(chunks)), random.randrange(len(chunks))
        chunks[one], chunks[two] = chunks[two], chunks[one]
    return join(head, chunks)


def borrow_chunk(random: Random, data: bytes, other: bytes) -> bytes:
    head, *chunks = split(data)
    chunks.insert(random.randrange(len(chunks) + 1), random.choice(split(other)))
    return join(head, chunks)


def damage_chunk(random: Random, data: bytes, other: bytes) -> bytes:
    """Damage inside one chunk, under a right checksum; its stated length may no longer be true."""
    head, *chunks = split(data)
    if chunks:
        at = random.randrange(len(chunks))
        if chunks[at]:
            chunks[at] = random.choice(_SMALL)(random, chunks[at], other)
    return mend_checksums(join(head, chunks))


def lie_about_length(random: Random, data: bytes, _other: bytes) -> bytes:
    """A length of zero, one that is huge, or one that is negative where it is read as signed."""
    head, *chunks = split(data)
    if chunks:
        at = random.randrange(len(chunks))
        place = 2 if data[:1] == b"\xff" else 4 if data[:4] == b"RIFF" else 0
        form = random.choice((">H", "<I", ">I", "<H"))
        size = struct.calcsize(form)
        value = random.choice((*EDGES, len(chunks[at]), len(data))) & (256**size - 1)
        chunks[at] = chunks[at][:place] + struct.pack(form, value) + chunks[at][place + size :]
    return head + b"".join(chunks)


_SMALL: tuple[Mutation, ...] = (flip_bits, set_number, cut_out, double, overwrite)
MUTATIONS: tuple[Mutation, ...] = (
    truncate,
    flip_bits,
    set_number,
    set_number,
    cut_out,
    double,
    overwrite,
    splice,
    lose_chunk,
    repeat_chunk,
    swap_chunks,
    borrow_chunk,
    damage_chunk,
    damage_chunk,
    lie_about_length,
)


def mutate(random: Random, data: bytes, other: bytes) -> bytes:
    """One to four damages, one after the other."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        if not data:
            break
        data = random.choice(MUTATIONS)(random, data, other)[:LARGEST_BYTES]
    return data


def _position(random: Random, data: bytes) -> int:
    """Anywhere, but more often near the beginning, where headers are."""
    return random.randrange(min(len(data), random.choice((64, 512, LARGEST_BYTES))))


def _span(random: Random, data: bytes) -> tuple[int, int]:
    start = _position(random, data)
    return start, min(len(data), start + random.choice((1, 2, 4, 12, 64, 500)))
