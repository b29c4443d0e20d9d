"""Picture formats, recognised by their first bytes, and the suffixes of picture files."""

from __future__ import annotations

from typing import TypeAlias

from unprompt.errors import PictureError

PICTURE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
)
"""Suffixes by which pictures are found in folders and archives. A file that is named itself may have any suffix."""

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")

HEAD_SIZE = 16
"""The number of first bytes that are enough to recognise a format."""

_Place: TypeAlias = tuple[int, tuple[bytes, ...]]  # an offset in the file, and the signatures allowed there

# What Pillow's plugins accept, without importing them: refusing a file must cost next to nothing.
_SIGNATURES: dict[str, tuple[_Place, ...]] = {
    "PNG": ((0, (b"\x89PNG\r\n\x1a\n",)),),
    "JPEG": ((0, (b"\xff\xd8\xff",)),),
    "WEBP": ((0, (b"RIFF",)), (8, (b"WEBPVP8 ", b"WEBPVP8X", b"WEBPVP8L"))),
    "GIF": ((0, (b"GIF87a", b"GIF89a")),),
    "BMP": ((0, (b"BM",)),),
    "TIFF": ((0, (b"MM\0*", b"II*\0", b"MM*\0", b"II\0*", b"MM\0+", b"II+\0")),),
    "AVIF": ((4, (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1")),),
}

_LISTS = (b'{"', b"file_name,", b"file_name\n", b"file_name\r", b"source,")
_ARCHIVES = (b"\x1f\x8b", b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!")


def format_of(head: bytes) -> str:
    """The name of the format, by content alone: "PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF" or "AVIF".

    `head` is the first HEAD_SIZE bytes or more. Raises PictureError (not-a-picture).
    """
    for name, places in _SIGNATURES.items():
        if all(head.startswith(signatures, position) for position, signatures in places):
            return name
    found = f"data that begins with {head[:12]!r}" if head else "an empty file"
    raise PictureError(
        "not-a-picture", f"expected PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF, found {found}; {_advice(head)}"
    )


def _advice(head: bytes) -> str:
    if head.startswith(_LISTS):
        return "a list of pictures is given as @FILE"
    if head.startswith(_ARCHIVES):
        return "unpack the archive, or make it a .tar"
    return "convert it to one of these"
