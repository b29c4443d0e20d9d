"""IPTC's texts: records of IIM, alone or among the image resources of Photoshop. Source: IPTC-IIM 4.2."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

_NAMES = {
    5: "ObjectName",
    25: "Keywords",
    40: "SpecialInstructions",
    65: "OriginatingProgram",
    70: "ProgramVersion",
    80: "By-line",
    103: "OriginalTransmissionReference",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "CopyrightNotice",
    120: "Caption-Abstract",
    122: "Writer-Editor",
}
"""The datasets of record 2 that hold texts of interest, by the names that ExifTool gives them."""

_RESOURCE_LIMIT = 1_000
_DATASET_LIMIT = 1_000
_RESOURCE_OF_IPTC = 0x0404


def read(data: bytes) -> Mapping[str, str]:
    """Read texts by name; several keywords are joined by commas. Empty if the records are broken."""
    texts: dict[str, str] = {}
    for number, body in _datasets(_records(data)):
        name, text = _NAMES.get(number, ""), _decoded(body)
        if not name or not text:
            continue
        if name == "Keywords" and name in texts:
            texts[name] += ", " + text
        else:
            texts.setdefault(name, text)
    return texts


def _records(data: bytes) -> bytes:
    """The records of IIM; image resources are `8BIM`, a number, a name padded to even length, a length and a body."""
    position = 0
    for _ in range(_RESOURCE_LIMIT):
        head = data[position : position + 7]
        if len(head) < 7 or head[:4] != b"8BIM":
            break
        number, name_length = struct.unpack(">HB", head[4:])
        position += 6 + (name_length + 2) // 2 * 2
        length = int.from_bytes(data[position : position + 4], "big")
        if number == _RESOURCE_OF_IPTC:
            return data[position + 4 : position + 4 + length]
        position += 4 + length + length % 2
    return b"" if position else data


def _datasets(records: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and body of each dataset of record 2."""
    position = 0
    for _ in range(_DATASET_LIMIT):
        head = records[position : position + 5]
        if len(head) < 5 or head[0] != 0x1C:
            return
        length, start = int.from_bytes(head[3:5], "big"), position + 5
        if length & 0x8000:  # the length of the length
            size = length & 0x7FFF
            if size > 4:
                return
            length, start = int.from_bytes(records[start : start + size], "big"), start + size
        if start + length > len(records):
            return
        if head[1] == 2:
            yield head[2], records[start : start + length]
        position = start + length


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8").strip("\x00")
    except UnicodeDecodeError:
        return body.decode("latin-1").strip("\x00")
