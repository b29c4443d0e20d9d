"""JUMBF: boxes with labels, in which C2PA keeps its manifests. Sources: ISO/IEC 19566-5; C2PA 2.1, 8.3 and 11.1."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_BOX_LIMIT = 10_000
_DEPTH_LIMIT = 12
_HEAD_LIMIT = 1_024  # bytes of other headers in front of the first box
_HAS_LABEL = 2


@dataclass(slots=True)
class Labelled:
    """A superbox: its label, the bodies of the boxes in it by their type, and the superboxes in it."""

    label: str
    contents: list[tuple[bytes, bytes]] = field(default_factory=list)
    inner: list[Labelled] = field(default_factory=list)


def parse(data: bytes) -> list[Labelled]:
    """The outermost superboxes, as far as they are whole."""
    start = data.find(b"jumb", 0, _HEAD_LIMIT) - 4
    if start < 0:
        return []
    left = [_BOX_LIMIT]
    found = _boxes(data, start, len(data), left)
    return [_superbox(data, body, stop, 0, left) for kind, body, stop in found if kind == b"jumb"]


def _superbox(data: bytes, start: int, end: int, depth: int, left: list[int]) -> Labelled:
    found = Labelled("")
    for kind, body, stop in _boxes(data, start, end, left):
        if kind == b"jumd":
            found.label = found.label or _label(data[body:stop])
        elif kind != b"jumb":
            found.contents.append((kind, data[body:stop]))
        elif depth < _DEPTH_LIMIT:
            found.inner.append(_superbox(data, body, stop, depth + 1, left))
    return found


def _boxes(data: bytes, position: int, end: int, left: list[int]) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the body of each whole box."""
    while position + 8 <= end and left[0] > 0:
        left[0] -= 1
        size, kind = struct.unpack_from(">I4s", data, position)
        body = position + 8
        if size == 1 and body + 8 <= end:
            size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        stop = position + size if size else end
        if stop < body or stop > end:
            return
        yield kind, body, stop
        position = stop


def _label(description: bytes) -> str:
    """The label after a type of 16 bytes and the byte that says whether there is one."""
    if len(description) < 17 or not description[16] & _HAS_LABEL:
        return ""
    return description[17:].partition(b"\0")[0][:300].decode("utf-8", "replace")
