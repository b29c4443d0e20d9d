"""C2PA manifests, built box by box as the specification lays them out; unsigned."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def cbor(value: Any) -> bytes:
    """A value as CBOR, in the shortest form."""
    if isinstance(value, bool) or value is None:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    return _head(5, len(value)) + b"".join(cbor(key) + cbor(inner) for key, inner in value.items())


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    size = next(size for size in range(4) if number < 256 ** (1 << size))
    return bytes([kind << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def box(kind: bytes, *bodies: bytes) -> bytes:
    """A box."""
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def labelled(label: str, *boxes: bytes) -> bytes:
    """A superbox with a label."""
    return box(b"jumb", box(b"jumd", bytes(16), b"\x03", label.encode(), b"\0"), *boxes)


def assertion(label: str, value: Any) -> bytes:
    """An assertion: bytes as an embedded file, a text as JSON, anything else as CBOR."""
    if isinstance(value, bytes):
        return labelled(label, box(b"bfdb", b"\0text/plain\0"), box(b"bidb", value))
    if isinstance(value, str):
        return labelled(label, box(b"json", value.encode()))
    return labelled(label, box(b"cbor", cbor(value)))


def manifest(claim: Mapping[str, Any], assertions: Mapping[str, Any], boxes: Mapping[str, Any] | None = None) -> bytes:
    """A manifest of a claim, assertions by label, and data boxes by label."""
    parts = [labelled("c2pa.assertions", *(assertion(*entry) for entry in assertions.items()))]
    if boxes:
        parts.append(labelled("c2pa.databoxes", *(assertion(*entry) for entry in boxes.items())))
    parts.append(labelled("c2pa.claim", box(b"cbor", cbor(claim))))
    return labelled("urn:uuid:00000000-0000-0000-0000-000000000000", *parts, labelled("c2pa.signature", box(b"cbor")))


def store(*manifests: bytes) -> bytes:
    """All manifests of a file, the active one last."""
    return labelled("c2pa", *manifests)


def created(agent: Any = None, source: str | None = GENERATED, **more: Any) -> dict[str, Any]:
    """An assertion of one action: the picture was created."""
    action = {"action": "c2pa.created", "softwareAgent": agent, "digitalSourceType": source, **more}
    return {"actions": [{key: value for key, value in action.items() if value is not None}]}


def as_json(value: Any) -> str:
    """An assertion that is stored as JSON."""
    return json.dumps(value)
