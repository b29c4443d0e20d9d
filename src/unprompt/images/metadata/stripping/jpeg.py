"""JPEG: tables, scans, and the segments that say how to show them. Source: ITU-T T.81, annex B; jdmarker.c."""

from __future__ import annotations

import re

from unprompt.images.metadata.stripping.damage import damaged, fragmented
from unprompt.images.metadata.stripping.orientation import EXIF_HEADER, exif_of, from_exif, from_xmp

_SEGMENT_LIMIT = 100_000
_MARKER = re.compile(rb"\xff+([\x01-\xfe])")  # before it, decoders skip whatever is between two segments
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # FF00 and FFD0 to FFD7 belong to a scan
_SOI, _EOI, _SOS, _APP0, _APP1, _APP15, _COMMENT = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEF, 0xFE
_WITHOUT_LENGTH = frozenset({0x01, _SOI, *range(0xD0, 0xD8)})
_OF_PIXELS = {0xE0: b"JFIF\x00", 0xE2: b"ICC_PROFILE\x00", 0xEE: b"Adobe"}
"""The application segments that are kept, by their marker, with what they begin with."""

_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"


def strip(data: bytes) -> bytes:
    """Copy a JPEG up to the end of its picture. Raises PictureError (truncated, too-large)."""
    kept = [b"\xff\xd8"]
    position, place, exif, xmp = 2, 1, 0, 0
    for _ in range(_SEGMENT_LIMIT):
        found = _MARKER.search(data, position)
        if found is None:
            raise damaged("JPEG")
        marker = found[1][0]
        if marker == _EOI:
            if (exif or xmp) > 1:
                kept.insert(place, _exif_segment(exif or xmp))
            return b"".join((*kept, b"\xff\xd9"))
        position = found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        start, position = position, position + int.from_bytes(data[position : position + 2], "big")
        if position < start + 2 or position > len(data):
            raise damaged("JPEG")
        body = data[start + 2 : position]
        if _is_kept(marker, body):
            kept.append(b"\xff" + found[1] + data[start:position])
            place = len(kept) if marker == _APP0 else place  # JFIF comes first
        elif marker == _APP1 and body.startswith(EXIF_HEADER):
            exif = exif or from_exif(body)
        elif marker == _APP1 and body.startswith(_XMP_HEADER):
            xmp = xmp or from_xmp(body)
        if marker == _SOS:
            start, position = position, _end_of_scan(data, position)
            kept.append(data[start:position])
    raise fragmented("JPEG", _SEGMENT_LIMIT)


def _is_kept(marker: int, body: bytes) -> bool:
    if marker in _OF_PIXELS:
        return body.startswith(_OF_PIXELS[marker])
    return marker != _COMMENT and not _APP0 <= marker <= _APP15


def _end_of_scan(data: bytes, position: int) -> int:
    found = _AFTER_SCAN.search(data, position)
    if found is None:
        raise damaged("JPEG")
    return found.start()


def _exif_segment(orientation: int) -> bytes:
    body = EXIF_HEADER + exif_of(orientation)
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
