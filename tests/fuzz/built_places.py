"""Files of boxes and elements, and blocks of EXIF, XMP and IPTC, at random: nested, repeated, lying."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from boxes import (
    C2PA_UUID,
    JXL_HEAD,
    UNKNOWN_LENGTH,
    XMP_UUID,
    box,
    cluster,
    element,
    exif_item,
    free_form,
    ftyp,
    full_box,
    ilst,
    items,
    keyed,
    mp4,
    seek_head,
    simple_tags,
    tags,
    webm,
)
from layouts import (
    app11,
    chunk,
    chunk_riff,
    dataset,
    extended_xmp,
    gif,
    gif_application,
    gif_comment,
    image_resource,
    jpeg,
    jumbf,
    png,
    raw_profile,
    riff,
    text,
    tiff,
    user_comment,
    xmp,
    ztext,
)

_WORDS = (
    *("a fox", "", "prompt", '{"3": {"class_type": "KSampler"}}', 'prompt:{"', 'workflow:{"'),
    *("狐", "é", "\0", "x" * 300),
)
_NAMES = ("prompt", "Comment", "workflow", "parameters", "com.apple.quicktime.comment", "é", "", "x" * 100)
_KINDS = (
    *(b"moov", b"udta", b"meta", b"ilst", b"keys", b"\xa9cmt", b"desc", b"----", b"data", b"name", b"uuid"),
    *(b"XMP_", b"dscp", b"iinf", b"infe", b"iloc", b"idat", b"hdlr", b"Exif", b"xml ", b"brob", b"jumb"),
    *(b"mdat", b"free", b"\0\0\0\1"),
)
_ELEMENTS = (
    *(0x18538067, 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC, 0x1549A966, 0x7BA9, 0x1254C367, 0x7373, 0x67C8),
    *(0x45A3, 0x4487, 0xEC),
)
_TAGS = (
    *(0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x8769, 0x9286, 0x927C, 0x9C9B, 0x9C9C, 0x9C9E),
    *(700, 33723, 34377, 52545),
)
_CODES = (
    *(b"UNICODE\0", b"UNICODE", b"Unicode\0", b"NUCIDO\0E", b"ASCII\0\0\0", b"JIS\0\0\0\0\0"),
    *(bytes(8), b"\0\0UNICODE\0"),
)
_MARKUP = (
    *("<a>", "</a>", "<a/>", '<a b="c"', "<dc:x>", "</dc:x>", "<rdf:li>", "</rdf:li>", "&amp;", "&b;"),
    *("<!DOCTYPE a>", "<!--", "-->", "<![CDATA[", "]]>", "<?x?>", "words", "&#0;", "&#10;", 'xmlns:dc="y"'),
)


def a_film(random: Random) -> bytes:
    """MP4 or MOV whose tags stand at the right places, several times or not at all."""
    texts = {name: _body(random) for name in random.sample(_NAMES, random.randrange(1, 4))}
    inner = (
        tags(*(ilst(random.choice(_KINDS), _body(random), well_known=random.choice((0, 1, 2, 13))) for _ in range(3))),
        keyed(texts, quicktime=random.random() < 0.5),
        tags(free_form(_words(random).encode(), _body(random))),
        box(b"\xa9cmt", struct.pack(">HH", random.randrange(65536), 0), _body(random)),
        full_box(b"dscp", _body(random)),
        box(b"XMP_", _xmp(random)),
    )
    user = [random.choice(inner) for _ in range(random.choice((1, 1, 2, 40)))]
    moov = [box(b"udta", *user)] if random.random() < 0.7 else user
    return mp4(*moov, brand=random.choice((b"isom", b"qt  ", b"mp42")), frames=b"") + _loose_box(random)


def a_picture_of_boxes(random: Random) -> bytes:
    """AVIF, HEIC or JPEG XL."""
    if random.random() < 0.3:
        parts = (box(b"Exif", bytes(4) + _exif(random)), box(b"xml ", _xmp(random)), jumbf(), _loose_box(random))
        return JXL_HEAD + ftyp(b"jxl ") + b"".join(random.sample(parts, random.randrange(1, 5)))
    wanted = (exif_item(_exif(random), random.choice((b"", b"Exif\0\0"))), (b"mime", _xmp(random)))
    version, brand = random.randrange(3), random.choice((b"heic", b"avif", b"mif1"))
    parts, in_idat = random.choice((1, 2, 60)), random.random() < 0.5
    return items(*wanted, brand=brand, version=version, in_idat=in_idat, parts=parts) + _loose_box(random)


def any_boxes(random: Random) -> bytes:
    """Known types inside each other in any order, with lengths that may be zero, huge, or in 64 bits."""
    return ftyp(random.choice((b"isom", b"heic", b"avif"))) + _boxes(random, 5) * random.choice((1, 1, 1, 20))


def a_webm(random: Random) -> bytes:
    """WebM with tags before, behind or inside what should be frames, and contents that may lie."""
    texts = {name: _words(random) for name in random.sample(("PROMPT", "COMMENT", "TITLE", "é"), 2)}
    length = random.choice((None, None, UNKNOWN_LENGTH, 0, 1, 2**40))
    parts = (
        simple_tags(**texts),
        cluster(length=random.choice((None, None, UNKNOWN_LENGTH))),
        seek_head(random.choice((0, 1, 40, 100, 2**31, 2**63))),
        element(0x1549A966, element(0x7BA9, _body(random))),
        _elements(random, 3),
    )
    return webm(*random.choices(parts, k=random.choice((1, 3, 5, 60))), length=length)


def any_elements(random: Random) -> bytes:
    """Known elements inside each other in any order."""
    return webm(_elements(random, 9) * random.choice((1, 1, 1, 20)))


def an_exif_block(random: Random) -> bytes:
    """A TIFF, bare or in a JPEG, whose tags may point anywhere."""
    block = _exif(random)
    return block if random.random() < 0.5 else jpeg((0xE1, b"Exif\0\0" + block[:60_000]))


def a_jpeg_of_segments(random: Random) -> bytes:
    """All that may stand in a JPEG, in any order, some of it many times."""
    exif, records = _exif(random), _iptc(random)
    parts = [
        (0xE1, b"Exif\0\0" + exif[: len(exif) // 2]),
        (0xE1, b"Exif\0\0" + exif[len(exif) // 2 :]),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _xmp(random)),
        *extended_xmp(_xmp(random), _xmp(random), size=random.choice((30, 1000))),
        *app11(jumbf(_body(random)), size=random.choice((7, 1000))),
        (0xED, b"Photoshop 3.0\0" + records[: random.randrange(len(records) + 1)]),
        (0xFE, _body(random)),
    ]
    chosen = random.choices(parts, k=random.choice((1, 3, 9, 60)))
    return jpeg(*((marker, body[:60_000]) for marker, body in chosen))


def a_gif(random: Random) -> bytes:
    """Extensions of all kinds before the frame."""
    parts = (
        gif_comment(_body(random)),
        gif_comment(b"a fox\\nSteps: 2" * random.choice((1, 50))),
        gif_application(b"XMP DataXMP", _xmp(random), raw=random.random() < 0.5),
        gif_application(b"C2PA_GIF\1\0\0", jumbf()),
        b"\x21" + random.randbytes(3),
    )
    return gif(*random.choices(parts, k=random.choice((1, 2, 30))))


def profiles(random: Random) -> bytes:
    """A PNG with profiles in hexadecimal, and a WebP with chunks."""
    kind, body = random.choice((("exif", _exif), ("xmp", _xmp), ("iptc", _iptc), ("APP1", _exif)))
    profile = raw_profile(kind, body(random))
    at = random.randrange(len(profile))
    if random.random() < 0.3:
        profile = profile[:at] + random.choice(("\n", "g", "", "é")) + profile[at + 1 :]
    made = text if random.random() < 0.5 else lambda name, value: ztext(name, value.encode("latin-1"))
    if random.random() < 0.2:
        return riff(chunk_riff(b"EXIF", _exif(random)), chunk_riff(b"XMP ", _xmp(random)), chunk_riff(b"C2PA", jumbf()))
    return png(made(f"Raw profile type {kind}", profile), chunk(b"caBX", _body(random)))


BOXES: tuple[Callable[[Random], bytes], ...] = (a_film, a_film, a_picture_of_boxes, a_picture_of_boxes, any_boxes)
ELEMENTS: tuple[Callable[[Random], bytes], ...] = (a_webm, a_webm, any_elements)
BLOCKS: tuple[Callable[[Random], bytes], ...] = (an_exif_block, a_jpeg_of_segments, a_gif, profiles)


def _words(random: Random) -> str:
    return random.choice(_WORDS) * random.choice((1, 1, 1, 10))


def _body(random: Random) -> bytes:
    words = _words(random)
    return words.encode(random.choice(("utf-8", "utf-8", "utf-16-le", "utf-16-be")))


def _exif(random: Random) -> bytes:
    """Texts under known tags, with a code or none; the offset of one may be stale."""
    if random.random() < 0.2:
        return user_comment(_words(random), order=random.choice("<>"))
    chosen = random.sample(_TAGS, random.choice((1, 2, 5)))
    values = {tag: (random.choice((1, 2, 4, 7, 129)), random.choice(_CODES) + _body(random)) for tag in chosen}
    block = tiff(values, order=random.choice("<>"), behind=bytes(random.choice((0, 40))))
    if random.random() < 0.4:
        at = 10 + 12 * random.randrange(len(chosen)) + random.choice((2, 4, 8))
        block = block[:at] + random.randbytes(random.choice((1, 2, 4))) + block[at + 4 :]
    return block


def _xmp(random: Random) -> bytes:
    """A document of markup in any order, or a sound one; in any encoding, with something behind it."""
    if random.random() < 0.5:
        document = xmp(**{random.choice("abc"): random.choice(("a fox", "&amp;", "<rdf:li>x</rdf:li>", ""))})
    else:
        document = "<a>" + "".join(random.choices(_MARKUP, k=random.choice((3, 20, 100)))) + "</a>"
    encoding = random.choice(("utf-8", "utf-8", "utf-16", "utf-16-le", "latin-1"))
    return document.encode(encoding) + random.choice((b"", b"\0\0", b">", b"\x01\xff\xfe"))


def _iptc(random: Random) -> bytes:
    numbers = random.choices((5, 25, 40, 90, 105, 120, 200), k=random.choice((1, 4, 60)))
    records = b"".join(dataset(number, _body(random), long=random.random() < 0.2) for number in numbers)
    resources = image_resource(random.choice((0x0404, 0x03ED)), records, random.choice((b"", b"a", b"ab")))
    return random.choice((records, resources, resources * 3))


def _loose_box(random: Random) -> bytes:
    return random.choice(
        (
            b"",
            box(b"uuid", C2PA_UUID, bytes(4), b"manifest\0", bytes(8), jumbf()),
            box(b"uuid", random.choice((XMP_UUID, C2PA_UUID)), _xmp(random)),
            box(b"brob", random.choice((b"Exif", b"xml ", b"jumb", b"")), random.randbytes(9)),
            box(random.choice(_KINDS), random.randbytes(random.choice((0, 3, 20)))),
            box(b"free") * 300,
        )
    )


def _boxes(random: Random, depth: int) -> bytes:
    if not depth or random.random() < 0.2:
        return random.choice((_body(random), random.randbytes(12), b""))
    children = b"".join(_boxes(random, depth - 1) for _ in range(random.choice((1, 1, 2, 3))))
    made = random.choice((box, full_box))(random.choice(_KINDS), children)
    if random.random() < 0.1:
        made = struct.pack(">I", random.choice((0, 1, 7, 8, 2**31, 2**32 - 1, len(made) + 1))) + made[4:]
    return made


def _elements(random: Random, depth: int) -> bytes:
    if not depth or random.random() < 0.2:
        return random.choice((_body(random), random.randbytes(12), b""))
    children = b"".join(_elements(random, depth - 1) for _ in range(random.choice((1, 1, 1, 2))))
    length = random.choice((None,) * 9 + (0, UNKNOWN_LENGTH, 2**40, len(children) + 1))
    return element(random.choice(_ELEMENTS), children, length=length)
