"""The copy of a file without its texts: which container it is, and whether anything is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from unprompt.errors import PictureError
from unprompt.images.formats import format_of
from unprompt.images.metadata.stealth import reveal
from unprompt.images.metadata.stripping import bmff, ebml, gif, jpeg, jxl, png, tiff, webp

_Stripper: TypeAlias = Callable[[bytes], bytes]

_STRIPPERS: Mapping[str, _Stripper] = {
    "PNG": png.strip,
    "JPEG": jpeg.strip,
    "WEBP": webp.strip,
    "GIF": gif.strip,
    "BMP": bytes,  # has no place for a text
    "TIFF": tiff.strip,
    "AVIF": bmff.strip,
    "HEIC": bmff.strip,
    "JXL": jxl.strip,
    "MP4": bmff.strip,
    "MOV": bmff.strip,
    "WEBM": ebml.strip,
    "MKV": ebml.strip,
}


def strip(data: bytes) -> bytes:
    """Copy a picture or video without its texts: EXIF, XMP, IPTC, comments, C2PA manifests, tags of videos.

    Colour profiles, the orientation, animation and all that the pixels depend on are kept, and nothing is encoded
    again. In TIFF, AVIF, HEIC and videos, texts are overwritten where they are, so that the file keeps its size.

    Raises PictureError: not-a-picture (no known format), truncated (the end is missing, or the structure is damaged),
    too-large (more pieces than encoders write), hidden-text (in the lowest bits of the pixels, where only other pixels
    would overwrite it; looked for in PNG and WebP as far as the reader does).
    """
    copy = _STRIPPERS[format_of(data)](data)
    if reveal(copy) is not None:
        raise PictureError(
            "hidden-text",
            "expected text in the metadata alone, found some hidden in the lowest bits of the pixels, which no "
            "lossless copy leaves out; save the picture as JPEG, which destroys it",
        )
    return copy
