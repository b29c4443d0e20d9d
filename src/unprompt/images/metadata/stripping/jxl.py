"""JPEG XL: the boxes of the codestream; one without boxes has no text. Source: ISO/IEC 18181-2, clause 9.

The data to rebuild a JPEG go, too: they hold its comments, and are worth nothing without its EXIF and XMP.
"""

from __future__ import annotations

from unprompt.images.metadata.stripping.bmff import boxes

_CODESTREAM = b"\xff\x0a"
_OF_PIXELS = frozenset({b"JXL ", b"ftyp", b"jxll", b"jxlc", b"jxlp", b"jxli"})


def strip(data: bytes) -> bytes:
    """Copy a JPEG XL. Raises PictureError (truncated, too-large)."""
    if data.startswith(_CODESTREAM):
        return data
    return b"".join(data[box.start : box.end] for box in boxes(data, 0, len(data)) if box.kind in _OF_PIXELS)


def codestream(data: bytes) -> bytes:
    """The beginning of the codestream; empty if there is none. Raises PictureError (truncated, too-large)."""
    if data.startswith(_CODESTREAM):
        return data
    parts = (box for box in boxes(data, 0, len(data)) if box.kind in (b"jxlc", b"jxlp"))
    return next((data[box.body + 4 * (box.kind == b"jxlp") : box.end] for box in parts), b"")
