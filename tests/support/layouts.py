"""Picture files in the byte layouts of the tools that write prompts into them."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAKE, MODEL, DESCRIPTION, SOFTWARE, MAKER_NOTE, USER_COMMENT = 0x010F, 0x0110, 0x010E, 0x0131, 0x927C, 0x9286


def chunk(kind: bytes, body: bytes, *, crc: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def text(keyword: str, value: str | bytes) -> bytes:
    """tEXt, as Pillow writes what Latin-1 can say and other libraries write anything in UTF-8."""
    body = value if isinstance(value, bytes) else value.encode("latin-1")
    return chunk(b"tEXt", keyword.encode() + b"\x00" + body)


def ztext(keyword: str, value: bytes) -> bytes:
    return chunk(b"zTXt", keyword.encode() + b"\x00\x00" + zlib.compress(value))


def itext(keyword: str, value: str | bytes, *, compressed: bool = False) -> bytes:
    body = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    head = keyword.encode() + b"\x00" + (b"\x01" if compressed else b"\x00") + b"\x00" + b"\x00" + b"\x00"
    return chunk(b"iTXt", head + (zlib.compress(body) if compressed else body))


def png(*chunks: bytes, after: tuple[bytes, ...] = (), pixels: np.ndarray | None = None) -> bytes:
    """A PNG with these chunks before the pixels, and those of `after` behind them."""
    plain = _plain("PNG") if pixels is None else _encoded(pixels)
    end = plain.index(b"IDAT") - 4
    tail = plain.rindex(b"IEND") - 4
    return plain[:end] + b"".join(chunks) + plain[end:tail] + b"".join(after) + plain[tail:]


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with these (marker, body) segments at its head."""
    plain = _plain("JPEG")
    inserted = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return plain[:2] + inserted + plain[2:]


def jpeg_exif(tiff: bytes) -> bytes:
    return jpeg((0xE1, b"Exif\x00\x00" + tiff))


def webp_exif(tiff: bytes) -> bytes:
    """A WebP as piexif makes it: the extended header, then the picture, then EXIF."""
    plain = _plain("WEBP")
    head = chunk_riff(b"VP8X", bytes([0x08, 0, 0, 0]) + (7).to_bytes(3, "little") * 2)
    body = b"WEBP" + head + plain[12:] + chunk_riff(b"EXIF", tiff)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff(*chunks: bytes) -> bytes:
    """A WebP of these chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(*extensions: bytes) -> bytes:
    """A GIF with these extensions before its frame."""
    plain = _plain("GIF")
    start = 13 + (3 << (plain[10] & 7) + 1 if plain[10] & 0x80 else 0)
    return plain[:start] + b"".join(extensions) + plain[start:]


def gif_comment(body: bytes) -> bytes:
    return b"\x21\xfe" + _sub_blocks(body)


def gif_application(name: bytes, body: bytes, *, raw: bool = False) -> bytes:
    """An application's extension; `raw` as XMP stands there, with the bytes behind it that lead to the end."""
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return b"\x21\xff\x0b" + name + (body + trailer if raw else _sub_blocks(body))


def image_resource(number: int, body: bytes, name: bytes = b"") -> bytes:
    """A resource of Photoshop; IPTC's number is 0x0404."""
    pascal = bytes([len(name)]) + name
    pascal += b"\0" * (len(pascal) % 2)
    return b"8BIM" + struct.pack(">H", number) + pascal + struct.pack(">I", len(body)) + body + b"\0" * (len(body) % 2)


def dataset(number: int, body: bytes, *, record: int = 2, long: bool = False) -> bytes:
    """A dataset of IPTC; `long` states its length in four bytes."""
    length = struct.pack(">HI", 0x8004, len(body)) if long else struct.pack(">H", len(body))
    return bytes([0x1C, record, number]) + length + body


def raw_profile(kind: str, body: bytes) -> str:
    """A profile in hexadecimal, as ImageMagick writes into the text `Raw profile type ...`."""
    digits = body.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\n{kind}\n{len(body):8}\n{lines}\n"


def xmp(**properties: str) -> str:
    """XMP whose properties are elements of the namespace `dc`."""
    inner = "".join(f"<dc:{name}>{text}</dc:{name}>" for name, text in properties.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<rdf:Description rdf:about="">{inner}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def tiff(tags: dict[int, bytes | tuple[int, bytes]], *, order: str = "<", behind: bytes = b"") -> bytes:
    """A TIFF whose first directory has these tags, of type ASCII or of the one given; then other bytes."""
    entries, values = b"", b""
    at = 8 + 2 + 12 * len(tags) + 4
    for tag, given in sorted(tags.items()):
        kind, value = given if isinstance(given, tuple) else (2, given)
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", at + len(values))
        entries += struct.pack(order + "HHI", tag, kind, len(value) // 4 if kind == 4 else len(value)) + place
        values += b"" if len(value) <= 4 else value + b"\0" * (len(value) % 2)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return head + entries + bytes(4) + values + behind


def jumbf(body: bytes = b"\0\0\0\x11jumdc2pa\0\0\0\0\3") -> bytes:
    """A box `jumb`, as a C2PA manifest is; its body is not read here."""
    return struct.pack(">I4s", 8 + len(body), b"jumb") + body


def app11(manifest: bytes, *, size: int = 60_000) -> list[tuple[int, bytes]]:
    """The segments of a JPEG that hold a box: `JP`, a number, a count, and in each of them the box's head."""
    head, body = manifest[:8], manifest[8:]
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    return [(0xEB, b"JP" + struct.pack(">HI", 1, 1 + index) + head + part) for index, part in enumerate(parts)]


def extended_xmp(main: bytes, document: bytes, *, size: int = 60_000) -> list[tuple[int, bytes]]:
    """The segments of a JPEG that hold XMP, `main`, and more of it, which `main` names by its MD5."""
    name = hashlib.md5(document).hexdigest().upper()
    note = 'rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="' + name + '"'
    body = b"http://ns.adobe.com/xap/1.0/\0" + main.replace(b'rdf:about=""', note.encode())
    head = b"http://ns.adobe.com/xmp/extension/\0" + name.encode() + struct.pack(">I", len(document))
    parts = [(at, document[at : at + size]) for at in range(0, len(document), size)]
    return [(0xE1, body), *((0xE1, head + struct.pack(">I", at) + part) for at, part in parts)]


def _sub_blocks(body: bytes) -> bytes:
    parts = (body[at : at + 255] for at in range(0, len(body), 255))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def chunk_riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)


def user_comment(value: str, *, order: str = ">", code: bytes = b"UNICODE\x00", body: bytes | None = None) -> bytes:
    """A TIFF whose EXIF directory holds `UserComment`; big-endian as piexif, "<" as ImageSharp."""
    if body is None:
        body = value.encode("utf-16-be" if order == ">" else "utf-16-le")
    return directory({USER_COMMENT: code + body}, order=order)


def directory(exif: dict[int, bytes], *, order: str = ">") -> bytes:
    """A TIFF with one entry in the first directory, the pointer, and these in the EXIF directory."""
    mark = b"MM\x00*" if order == ">" else b"II*\x00"
    start = 8 + 2 + 12 + 4
    values_at = start + 2 + 12 * len(exif) + 4
    first = struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, start, 0)
    entries, values = b"", b""
    for tag, value in exif.items():
        entries += struct.pack(order + "HHII", tag, 7, len(value), values_at + len(values))
        values += value
    count = struct.pack(order + "H", len(exif))
    return mark + struct.pack(order + "I", 8) + first + count + entries + bytes(4) + values


def pillow_exif(tags: dict[int, str]) -> bytes:
    """All tags in the first directory as text, as Pillow writes them for Fooocus and ComfyUI."""
    exif = Image.Exif()
    exif.update(tags)
    return exif.tobytes().removeprefix(b"Exif\x00\x00")


def described_xmp(description: str, creator: str = "") -> str:
    """XMP with `dc:description`, and the program that wrote it."""
    body = description.replace("&", "&amp;").replace("<", "&lt;")
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
         <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{body}</rdf:li></rdf:Alt></dc:description>
         <xmp:CreatorTool>{creator}</xmp:CreatorTool>
      </rdf:Description></rdf:RDF></x:xmpmeta>"""


def draw_things_xmp(comment: dict[str, Any], description: str = "") -> str:
    body = json.dumps(comment).replace("&", "&amp;").replace("<", "&lt;")
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 6.0.0">
   <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description rdf:about=""
            xmlns:exif="http://ns.adobe.com/exif/1.0/"
            xmlns:xmp="http://ns.adobe.com/xap/1.0/"
            xmlns:dc="http://purl.org/dc/elements/1.1/">
         <exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{body}</rdf:li></rdf:Alt></exif:UserComment>
         <xmp:CreatorTool>Draw Things</xmp:CreatorTool>
         <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description>
      </rdf:Description>
   </rdf:RDF>
</x:xmpmeta>"""


def stealth(value: str | bytes, *, magic: bytes = b"stealth_pngcomp", width: int = 64, height: int = 96) -> np.ndarray:
    """(height, width, 4) pixels with a text in the alpha channel's lowest bits, down each column."""
    body = value if isinstance(value, bytes) else value.encode()
    if magic.endswith(b"comp") and not isinstance(value, bytes):
        body = gzip.compress(body)
    bits = np.unpackbits(np.frombuffer(magic + struct.pack(">I", len(body) * 8) + body, np.uint8))
    pixels = np.full((height, width, 4), 255, np.uint8)
    channels = slice(0, 3) if b"rgb" in magic else slice(3, 4)
    columns = pixels[:, :, channels].transpose(1, 0, 2).copy()
    columns.ravel()[: len(bits)] = 254 | bits
    pixels[:, :, channels] = columns.transpose(1, 0, 2)
    return pixels


def _encoded(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@functools.cache
def _plain(kind: str) -> bytes:
    """A black picture; the fuzzer asks for a hundred thousand."""
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    return buffer.getvalue()


def lossless_webp(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, exact=True)
    return buffer.getvalue()
