"""The files that an ONNX file reads its weights from, found without the package onnx.

Source: onnx.proto3 of ONNX 1.20, and the wire format of protocol buffers.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from unprompt.display import printable
from unprompt.errors import ModelError

_Bytes: TypeAlias = "memoryview[int]"

_PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}
"""The fields of each kind of message that lead to where a tensor's weights lie."""

_KEY, _VALUE = 1, 2  # the fields of an entry
_LOCATION = b"location"
_DEEPEST = 100
"""As protocol buffers allow."""


def weight_files(path: Path) -> set[str]:
    """The names of the other files that an ONNX file reads, as it has them. Raises ModelError if it is damaged."""
    if not path.is_file() or not path.stat().st_size:
        return set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        try:
            with memoryview(whole) as model:
                return {name.decode("utf-8", "replace") for name in _locations(model, "model", 0)}
        except (IndexError, ValueError) as error:
            shown = printable(str(path))
            raise ModelError(f"cannot load {shown}: expected an ONNX file, found a damaged one ({error})") from None


def _locations(message: _Bytes, kind: str, depth: int) -> Iterator[bytes]:
    """What the entries `location` of all tensors in a message say."""
    if depth > _DEEPEST:
        raise ValueError("a message too deep")
    entry = {_KEY: b"", _VALUE: b""}
    for number, value in _fields(message):
        with value:
            if kind == "entry":
                entry[number] = bytes(value)
            elif inner := _PARTS[kind].get(number):
                yield from _locations(value, inner, depth + 1)
    if entry[_KEY] == _LOCATION:
        yield entry[_VALUE]


def _fields(message: _Bytes) -> Iterator[tuple[int, _Bytes]]:
    """The numbers and contents of a message's fields that hold bytes. Raises IndexError, ValueError."""
    place = 0
    while place < len(message):
        tag, place = _number(message, place)
        kind = tag & 7
        if kind == 0:
            _, place = _number(message, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        elif kind == 2:
            size, place = _number(message, place)
            if size > len(message) - place:
                raise ValueError("a field longer than its message")
            yield tag >> 3, message[place : place + size]
            place += size
        else:
            raise ValueError("a field of a kind that ONNX has not")


def _number(message: _Bytes, place: int) -> tuple[int, int]:
    """A number in base 128, lowest digits first, and the place behind it."""
    number = shift = 0
    while shift < 70:
        byte = message[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
    raise ValueError("a number too long")
