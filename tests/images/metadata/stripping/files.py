"""Small files with a text in each place that their container has for one; `WORDS` is in all of these texts."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

WORDS = "a fuzzy bunny on a meadow"
BODY = WORDS.encode()
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:description="' + BODY + b'"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


def picture(mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Image.Image:
    """A picture in which no turn and no flip is the same."""
    red = Image.linear_gradient("L").resize(size)
    green = Image.linear_gradient("L").rotate(90).resize(size)
    return Image.merge("RGB", (red, green, Image.new("L", size, 99))).convert(mode)


def exif(orientation: int | None = None) -> Image.Exif:
    """Texts in the first directory and in the EXIF one, and an orientation, if wanted."""
    block = Image.Exif()
    block[0x010E] = WORDS
    block[0x010F] = "prompt: " + WORDS
    block.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + WORDS.encode("utf-16-be")
    if orientation is not None:
        block[0x0112] = orientation
    return block


def profile() -> bytes:
    """A colour profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png(orientation: int | None = None, mode: str = "RGB") -> bytes:
    """Text before and after the pixels, compressed and plain, EXIF, a colour profile, resolution."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", f"{WORDS}\nSteps: 20, Seed: 1")
    texts.add_text("Comment", WORDS, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    file = io.BytesIO()
    picture(mode).save(file, "PNG", pnginfo=texts, exif=exif(orientation), icc_profile=profile(), dpi=(72, 72))
    chunk = b"tEXtprompt\0" + BODY
    late = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return file.getvalue() + late + BODY


def apng() -> bytes:
    """Three frames."""
    file = io.BytesIO()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", WORDS)
    frames = [picture().rotate(angle) for angle in (90, 180)]
    picture().save(file, "PNG", save_all=True, append_images=frames, duration=[10, 20, 30], pnginfo=texts)
    return file.getvalue()


def jpeg(orientation: int | None = None, mode: str = "RGB", *, progressive: bool = False) -> bytes:
    """EXIF, XMP, IPTC, C2PA, a comment before and between the scans, and text after the end."""
    file = io.BytesIO()
    options = {"exif": exif(orientation), "icc_profile": profile(), "comment": BODY, "xmp": XMP, "dpi": (72, 72)}
    picture(mode).save(file, "JPEG", progressive=progressive, **options)
    data = file.getvalue()
    segments = b"".join(
        b"\xff" + marker + (len(body) + 2).to_bytes(2, "big") + body
        for marker, body in ((b"\xed", b"Photoshop 3.0\0" + BODY), (b"\xeb", b"JP\0\1" + BODY), (b"\xec", BODY))
    )
    last = data.rindex(b"\xff\xda")
    comment = b"\xff\xfe" + (len(BODY) + 2).to_bytes(2, "big") + BODY
    return data[:2] + segments + data[2:last] + comment + data[last:] + BODY


def webp(orientation: int | None = None, *, lossless: bool = False, frames: int = 1) -> bytes:
    """EXIF and XMP, an unknown chunk, and text after the end."""
    file = io.BytesIO()
    more = [picture("RGBA").rotate(angle * 90) for angle in range(1, frames)]
    options = {"exif": exif(orientation).tobytes(), "xmp": XMP, "icc_profile": profile(), "lossless": lossless}
    picture("RGBA").save(file, "WEBP", save_all=frames > 1, append_images=more, **options)
    data = file.getvalue() + b"C2PA" + struct.pack("<I", len(BODY)) + BODY + b"\0" * (len(BODY) % 2)
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:] + BODY


def gif() -> bytes:
    """A loop of three frames, a comment, XMP, plain text, and text after the trailer."""
    file = io.BytesIO()
    frames = [picture().rotate(angle) for angle in (90, 180)]
    picture().save(file, "GIF", save_all=True, append_images=frames, duration=50, loop=3, comment=BODY)
    data = file.getvalue()
    xmp = b"\x21\xff\x0bXMP DataXMP" + XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0"
    plain = b"\x21\x01\x0c" + bytes(12) + bytes([len(BODY)]) + BODY + b"\0"
    return data[:-1] + xmp + plain + data[-1:] + BODY


def tiff(orientation: int | None = None, *, big: bool = False, pages: int = 1, compression: str = "raw") -> bytes:
    """Texts in every directory, EXIF, XMP and IPTC."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[305], tags[700], tags[33723] = WORDS, WORDS, XMP, BODY
    tags.tagtype[700], tags.tagtype[33723] = 1, 7
    if orientation is not None:
        tags[274] = orientation
    if compression == "raw" and pages == 1:  # libtiff refuses a directory of EXIF, and Pillow loses those of pages
        tags[34665] = {0x9286: b"ASCII\0\0\0" + BODY}
    file = io.BytesIO()
    more = [picture().rotate(90 * page) for page in range(1, pages)]
    options = {"tiffinfo": tags, "icc_profile": profile(), "big_tiff": big, "compression": compression}
    picture().save(file, "TIFF", save_all=pages > 1, append_images=more, **options)
    return file.getvalue()


def avif(orientation: int | None = None) -> bytes:
    """EXIF and XMP items, and a manifest in a box of its own."""
    file = io.BytesIO()
    picture().save(file, "AVIF", exif=exif(orientation).tobytes(), xmp=XMP, icc_profile=profile())
    return file.getvalue() + box(b"uuid", bytes(16) + BODY)


def box(kind: bytes, *bodies: bytes) -> bytes:
    """A box of the ISO base media file format."""
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def mp4(brand: bytes = b"isom") -> bytes:
    """A movie without frames: tags of the movie and of a track, XMP, and what an editor left behind."""
    handler = box(b"hdlr", bytes(8), b"mdta", bytes(13))
    tag = box(b"\xa9cmt", box(b"data", bytes(8), BODY))
    movie = box(
        b"moov",
        box(b"mvhd", bytes(100)),
        box(b"trak", box(b"tkhd", bytes(84)), box(b"udta", tag), box(b"mdia", box(b"mdhd", bytes(24)))),
        box(b"udta", box(b"meta", bytes(4), handler, box(b"ilst", tag))),
        box(b"meta", handler, box(b"ilst", tag)),
    )
    tail = box(b"uuid", bytes(16), XMP), box(b"free", BODY), box(b"mdat", b"frames of the movie")
    return b"".join((box(b"ftyp", brand, bytes(4), brand, b"mp42"), movie, *tail))


def element(kind: int, *bodies: bytes) -> bytes:
    """An element of EBML, its size in eight bytes."""
    body = b"".join(bodies)
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + (1 << 56 | len(body)).to_bytes(8, "big") + body


def webm(kind: bytes = b"webm") -> bytes:
    """A video without frames: tags, a title, a track's name, a cover, and what an editor left behind."""
    tag = element(0x7373, element(0x67C8, element(0x45A3, b"COMMENT"), element(0x4487, BODY)))
    segment = (
        element(0x1549A966, element(0x2AD7B1, b"\x0f\x42\x40"), element(0x7BA9, BODY)),
        element(0x1654AE6B, element(0xAE, element(0xD7, b"\1"), element(0x536E, BODY))),
        element(0xEC, BODY),
        element(0x1254C367, tag),
        element(0x1941A469, element(0x61A7, element(0x466E, BODY))),
        element(0x1F43B675, element(0xA3, b"a frame of the video")),
    )
    return element(0x1A45DFA3, element(0x4282, kind)) + element(0x18538067, *segment)


def jxl() -> bytes:
    """The boxes of a JPEG XL around a codestream that is none."""
    signature, brand = box(b"JXL ", b"\r\n\x87\n"), box(b"ftyp", b"jxl ", bytes(4), b"jxl ")
    texts = box(b"Exif", bytes(4), exif(6).tobytes()), box(b"xml ", XMP), box(b"brob", b"Exif", BODY)
    return b"".join((signature, brand, *texts, box(b"jxlc", b"\xff\x0apixels"), box(b"jumb", BODY)))
