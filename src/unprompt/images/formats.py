"""Formats of pictures and videos, recognised by their first bytes, and the suffixes of their files."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TypeAlias

from unprompt.errors import PictureError

PLUGINS: Mapping[str, str] = {"HEIC": "pillow_heif", "JXL": "pillow_jxl"}
"""The modules that decode what Pillow cannot; the extra [formats] installs them."""

VIDEOS: Mapping[str, str] = {
    "MP4": "an MP4 video",
    "MOV": "a QuickTime video",
    "WEBM": "a WebM video",
    "MKV": "an MKV video",
}
"""Formats that hold a written prompt, but no picture to predict one from; how messages name them."""

_SHOWN = {"HEIC": "a HEIC", "JXL": "a JPEG XL"}

SUFFIXES: Mapping[str, str] = {
    ".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".webp": "WEBP",
    ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".avif": "AVIF",
    ".heic": "HEIC", ".heif": "HEIC", ".hif": "HEIC", ".jxl": "JXL",
    ".mp4": "MP4", ".m4v": "MP4", ".mov": "MOV", ".webm": "WEBM", ".mkv": "MKV",
}  # fmt: skip
"""The format that a suffix promises. A file that is named itself may have any suffix."""

PICTURE_SUFFIXES = frozenset(suffix for suffix, name in SUFFIXES.items() if name not in VIDEOS)
"""Suffixes by which pictures are found in folders and archives."""

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")

HEAD_SIZE = 64
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
    "JXL": ((0, (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")),),
    "MOV": ((4, (b"moov", b"mdat", b"wide", b"pnot")),),  # written before there was `ftyp`
}

# Sources: the registry of mp4ra.org; ISO/IEC 23008-12, 10.2 and annex B.4 (HEIC); AVIF 1.1, chapter 6.
_BRANDS: dict[str, tuple[bytes, ...]] = {
    "AVIF": (b"avif", b"avis"),
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
    "MOV": (b"qt  ",),
    "MP4": (b"iso", b"mp4", b"avc1", b"M4V", b"3g", b"dash", b"cmf", b"f4v", b"MSNV", b"XAVC", b"mmp4", b"av01"),
}
"""What the brands of a file begin with. The first brand decides, then the compatible ones."""

_ANY_CODEC = (b"mif1", b"msf1", b"mif2", b"heif")
"""Brands of pictures of any codec; where no other brand names it, libheif looks."""

_NO_PICTURES = (b"crx ", b"M4A ", b"M4B ", b"jp2 ", b"jpx ")
"""First brands of files that would pass for videos by their compatible ones."""

_EBML = b"\x1aE\xdf\xa3"

_KNOWN = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, HEIC or JPEG XL"
_CONVERT = "convert it to one of these"
_VIDEO = "save a frame of it as PNG"
_UNPACK = "unpack the archive, or make it a .tar"
_OTHERS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"%PDF", "a PDF", "save its pages as pictures"),
    (0, b"8BPS", "a Photoshop document", _CONVERT),
    (0, b"gimp xcf", "a GIMP document", _CONVERT),
    (0, b"<svg", "an SVG drawing", _CONVERT),
    (0, b"<!DOCTYPE html", "a web page", "fetch the picture itself"),
    (0, b"<html", "a web page", "fetch the picture itself"),
    (0, b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _CONVERT),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _CONVERT),
    (0, b"\0\0\1\0", "an icon", _CONVERT),
    (0, b"v/1\x01", "an OpenEXR picture", _CONVERT),
    (0, b"#?RADIANCE", "a Radiance picture", _CONVERT),
    (0, b"DDS ", "a DDS texture", _CONVERT),
    (0, b"qoif", "a QOI picture", _CONVERT),
    (0, b"P5\n", "a PGM picture", _CONVERT),
    (0, b"P6\n", "a PPM picture", _CONVERT),
    (8, b"crx ", "a raw picture of a camera", _CONVERT),
    (0, b"FUJIFILMCCD-RAW", "a raw picture of a camera", _CONVERT),
    (8, b"AVI ", "an AVI video", _VIDEO),
    (0, b"FLV\1", "a Flash video", _VIDEO),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a Windows Media video", _VIDEO),
    (0, b"\0\0\1\xba", "an MPEG video", _VIDEO),
    (0, b"\0\0\1\xb3", "an MPEG video", _VIDEO),
    (0, b"OggS", "an Ogg file", _VIDEO),
    (8, b"M4A ", "a sound file", "give the picture itself"),
    (8, b"WAVE", "a sound file", "give the picture itself"),
    (0, b"ID3", "a sound file", "give the picture itself"),
    (0, b"fLaC", "a sound file", "give the picture itself"),
)
"""What people mistake for pictures: where its signature is, the signature, its name, and what to do."""

_LISTS = (b'{"', b"file_name,", b"file_name\n", b"file_name\r", b"source,")
_ARCHIVES = (b"\x1f\x8b", b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!")


def format_of(head: bytes) -> str:
    """The name of the format, by content alone: a key of VIDEOS, or one of the picture formats of SUFFIXES.

    `head` is the first HEAD_SIZE bytes or more. Raises PictureError (not-a-picture).
    """
    for name, places in _SIGNATURES.items():
        if all(head.startswith(signatures, position) for position, signatures in places):
            return name
    if head.startswith(_EBML):
        return "WEBM" if b"webm" in head[:HEAD_SIZE] else "MKV"
    if head[4:8] == b"ftyp" and (branded := _format_by_brand(head)) is not None:
        return branded
    found, advice = _found(head)
    raise PictureError("not-a-picture", f"expected {_KNOWN}, found {found}; {advice}")


def is_decodable(name: str) -> bool:
    """Whether files of this format are pictures that can be decoded here. Nothing is imported."""
    try:
        return name not in VIDEOS and (name not in PLUGINS or importlib.util.find_spec(PLUGINS[name]) is not None)
    except (ImportError, ValueError):  # ValueError: the module's spec is None
        return False


def refusal(name: str) -> PictureError:
    """The error for a file whose pixels are not decoded here: a video's, or those of a format without its plugin."""
    if name in VIDEOS:
        return PictureError(
            "not-a-picture",
            f"expected a picture, found {VIDEOS[name]}, of which only a written prompt is read; "
            "save a frame of it as PNG",
        )
    return PictureError(
        "missing-extra",
        f"expected a picture that can be decoded here, found {_SHOWN[name]}; "
        "install its decoder: pip install 'unprompt[formats]'",
    )


def _format_by_brand(head: bytes) -> str | None:
    """The format of a file of boxes, whose compatible brands follow the first one and its version."""
    end = min(int.from_bytes(head[:4], "big"), len(head), HEAD_SIZE)
    first, others = head[8:12], [head[start : start + 4] for start in range(16, end - 3, 4)]
    if first in _NO_PICTURES:
        return None
    if first in _ANY_CODEC:
        return "AVIF" if any(brand in _BRANDS["AVIF"] for brand in others) else "HEIC"
    for brand in (first, *others):
        for name, starts in _BRANDS.items():
            if brand.startswith(starts):
                return name
    return None


def _found(head: bytes) -> tuple[str, str]:
    """What the data seems to be, and what to do with it."""
    for position, signature, name, advice in _OTHERS:
        if head.startswith(signature, position):
            return name, advice
    found = f"data that begins with {head[:12]!r}" if head else "an empty file"
    if head.startswith(_LISTS):
        return found, "a list of pictures is given as @FILE"
    return found, _UNPACK if head.startswith(_ARCHIVES) else _CONVERT
