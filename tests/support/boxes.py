"""Files of boxes (AVIF, HEIC, JPEG XL, MP4, MOV) and of elements (WebM, MKV), as small as they can be."""

from __future__ import annotations

import struct
from itertools import pairwise

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
JXL_HEAD = b"\0\0\0\x0cJXL \r\n\x87\n"


def box(kind: bytes, *bodies: bytes, wide: bool = False) -> bytes:
    """A box; `wide` states its length in 64 bits."""
    body = b"".join(bodies)
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, *bodies: bytes, version: int = 0) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]), *bodies)


def ftyp(brand: bytes) -> bytes:
    return box(b"ftyp", brand, bytes(4), brand)


def items(
    *wanted: tuple[bytes, bytes], brand: bytes = b"heic", version: int = 0, in_idat: bool = False, parts: int = 1
) -> bytes:
    """A picture whose items (type, body) stand behind the tables or, `in_idat`, among them; each in so many parts."""
    wide = version >= 2
    number = ">I" if wide else ">H"
    infos = b"".join(
        full_box(
            b"infe",
            struct.pack(number, index + 1) + bytes(2) + kind + b"\0",
            b"application/rdf+xml\0" if kind == b"mime" else b"",
            version=3 if wide else 2,
        )
        for index, (kind, _) in enumerate(wanted)
    )
    iinf = full_box(b"iinf", struct.pack(number, len(wanted)), infos, version=1 if wide else 0)
    hdlr = full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
    idat = box(b"idat", *(body for _, body in wanted)) if in_idat else b""
    size = len(_meta(hdlr, iinf, _locations(wanted, 0, version, in_idat, parts), idat))
    at = 0 if in_idat else len(ftyp(brand)) + size + 8
    table = _locations(wanted, at, version, in_idat, parts)
    media = b"" if in_idat else box(b"mdat", *(body for _, body in wanted))
    return ftyp(brand) + _meta(hdlr, iinf, table, idat) + media


def exif_item(tiff: bytes, before: bytes = b"") -> tuple[bytes, bytes]:
    """EXIF as an item: how many bytes stand before it, these, and the block."""
    return b"Exif", struct.pack(">I", len(before)) + before + tiff


def ilst(kind: bytes, text: bytes, *, well_known: int = 1) -> bytes:
    """One tag of iTunes; "----" takes a name, which ffmpeg and others write in front."""
    return box(kind, box(b"data", struct.pack(">II", well_known, 0), text))


def free_form(name: bytes, text: bytes) -> bytes:
    return box(
        b"----",
        full_box(b"mean", b"com.apple.iTunes"),
        full_box(b"name", name),
        box(b"data", bytes(3), b"\1", bytes(4), text),
    )


def tags(*tags: bytes) -> bytes:
    """`meta` with the tags of iTunes."""
    return full_box(b"meta", full_box(b"hdlr", bytes(4) + b"mdirappl" + bytes(9)), box(b"ilst", *tags))


def keyed(texts: dict[str, bytes], *, quicktime: bool = False) -> bytes:
    """`meta` with a list of keys, as ffmpeg writes with `use_metadata_tags`; QuickTime's has no version."""
    keys = full_box(b"keys", struct.pack(">I", len(texts)), *(box(b"mdta", key.encode()) for key in texts))
    values = (ilst(struct.pack(">I", index + 1), text) for index, text in enumerate(texts.values()))
    inner = (full_box(b"hdlr", bytes(4) + b"mdta" + bytes(13)), keys, box(b"ilst", *values))
    return box(b"meta", *inner) if quicktime else full_box(b"meta", *inner)


def mp4(*in_moov: bytes, brand: bytes = b"isom", frames: bytes = bytes(500)) -> bytes:
    """A film whose tags stand behind its frames, as most programs write."""
    return ftyp(brand) + box(b"mdat", frames) + box(b"moov", full_box(b"mvhd", bytes(96)), *in_moov)


def element(kind: int, *bodies: bytes, length: int | None = None) -> bytes:
    """An element of EBML; its length has eight bytes."""
    body = b"".join(bodies)
    number = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return number + ((1 << 56) | (len(body) if length is None else length)).to_bytes(8, "big") + body


UNKNOWN_LENGTH = (1 << 56) - 1


def simple_tags(**texts: str) -> bytes:
    """`Tags` with one tag of several texts."""
    simple = (
        element(0x67C8, element(0x45A3, key.encode()), element(0x4487, text.encode())) for key, text in texts.items()
    )
    return element(0x1254C367, element(0x7373, element(0x63C0), *simple))


def cluster(frames: bytes = bytes(300), *, length: int | None = None) -> bytes:
    return element(0x1F43B675, element(0xE7, b"\0"), element(0xA3, frames), length=length)


def webm(*in_segment: bytes, length: int | None = None) -> bytes:
    """A film with these elements in its segment."""
    head = element(0x1A45DFA3, element(0x4282, b"webm"))
    return head + element(0x18538067, *in_segment, length=length)


def seek_head(position: int) -> bytes:
    """A table of contents that says where the tags are."""
    seek = element(0x4DBB, element(0x53AB, b"\x12\x54\xc3\x67"), element(0x53AC, position.to_bytes(8, "big")))
    return element(0x114D9B74, seek)


def _meta(*bodies: bytes) -> bytes:
    return full_box(b"meta", *bodies)


def _locations(wanted: tuple[tuple[bytes, bytes], ...], at: int, version: int, in_idat: bool, parts: int) -> bytes:
    table = b""
    for index, (_, body) in enumerate(wanted):
        table += struct.pack(">I" if version >= 2 else ">H", index + 1)
        table += struct.pack(">H", in_idat) if version else b""
        table += bytes(2) + struct.pack(">H", parts)
        cuts = [len(body) * part // parts for part in range(parts + 1)]
        for start, end in pairwise(cuts):
            table += struct.pack(">II", at + start, end - start)
        at += len(body)
    count = struct.pack(">I" if version >= 2 else ">H", len(wanted))
    return full_box(b"iloc", b"\x44\x00", count, table, version=version)
