"""What the readers of containers yield: pieces of a file, still encoded, each with the place that it comes from."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, SupportsIndex, TypeAlias, overload


class Data(Protocol):
    """A whole file. Readers only slice and search it, so one on disk (`FileView`, `mmap.mmap`) is not read whole."""

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> int: ...

    @overload
    def __getitem__(self, place: slice, /) -> bytes: ...

    def find(self, wanted: bytes, start: int = ..., end: int = ..., /) -> int:
        """The first place of `wanted` between two positions; -1 if there is none."""

    def rfind(self, wanted: bytes, start: int = ..., end: int = ..., /) -> int:
        """The last one."""


BLOCK_LIMIT_BYTES = 16 * 2**20
"""More of a block is not read. A C2PA manifest with its thumbnails takes one or two megabytes, a text far less."""

Place: TypeAlias = Literal["text", "exif", "xmp", "iptc", "c2pa"]
Packing: TypeAlias = Literal["", "deflate", "brotli"]

EXIF_HEADER = b"Exif\x00\x00"
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"

_TAG_NAMES = {
    "comment": "Comment",
    "description": "Description",
    "synopsis": "Description",
    "title": "Title",
    "encoder": "Software",
    "software": "Software",
    "artist": "Artist",
    "author": "Author",
    "copyright": "Copyright",
}


class Piece(NamedTuple):
    """Bytes of a place: a text in UTF-8 or Latin-1, a block of EXIF, XMP or IPTC, a C2PA manifest.

    `packing` says how the body is compressed, and `is_hex` that it is a profile in hexadecimal, as ImageMagick writes.
    """

    place: Place
    body: bytes
    name: str = ""
    packing: Packing = ""
    is_hex: bool = False


def block(data: Data, start: int, end: int) -> bytes:
    """The bytes from `start` to `end`, or the first of them if there are very many."""
    return data[start : min(end, start + BLOCK_LIMIT_BYTES)]


def tag_name(name: str) -> str:
    """The name of a video's tag: capitalised like a PNG's keyword where there is one, else in small letters."""
    small = name[:80].strip().lower()
    return _TAG_NAMES.get(small, small)
