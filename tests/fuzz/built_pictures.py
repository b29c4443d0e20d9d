"""Pictures written by hand: what Pillow would not write, from the merely odd to the impossible."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from random import Random

from fuzz.chunks import PNG_SIGNATURE, split
from layouts import chunk, chunk_riff
from PIL import Image

SIDES = (0, 1, 2, 7, 8, 9, 16, 31, 64, 255, 1000)
# Photometric interpretation, samples, bits a sample, sample format: what Pillow has modes for.
_SENSIBLE_TIFFS = (
    (0, 1, 1, 1), (1, 1, 1, 1), (1, 1, 2, 1), (1, 1, 4, 1), (1, 1, 8, 1), (0, 1, 8, 1), (1, 1, 12, 1), (1, 1, 16, 1),
    (1, 1, 16, 2), (1, 1, 32, 1), (1, 1, 32, 2), (1, 1, 32, 3), (1, 2, 8, 1), (2, 3, 8, 1), (2, 4, 8, 1), (2, 3, 16, 1),
    (2, 4, 16, 1), (3, 1, 4, 1), (3, 1, 8, 1), (5, 4, 8, 1), (5, 4, 16, 1), (6, 3, 8, 1), (8, 3, 8, 1),
)  # fmt: skip
_COMPRESSIONS = (1,) * 12 + (2, 3, 4, 5, 5, 6, 7, 7, 8, 8, 32771, 32773, 32773, 32809, 32946, 34676, 34712, 34887,
                             34925, 50000, 50001, 50002)  # fmt: skip
HUGE_SIDES = (10_000, 16_383, 32_767, 65_535, 2**31 - 1, 2**32 - 1)


def png(random: Random) -> bytes:
    """Any bit depth and colour type, interlaced or not, with rows of random filters, too few or too many."""
    width, height = _side(random), _side(random)
    bits, colour = random.choice((1, 2, 4, 8, 8, 16, 16, 3)), random.choice((0, 2, 2, 3, 4, 6, 6, 5))
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    row = min(_row_bytes(width, bits * samples), 20_000)
    rows = max(0, min(height, 40_000 // (row + 1)) + random.choice((-1, 0, 0, 0, 3)))
    pixels = bytearray(_filling(random, rows * (row + 1)))
    pixels[:: row + 1] = bytes(random.choices((0, 1, 2, 3, 4, 4, 9), k=rows))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, random.choice((0, 0, 1, 2)))
    extras = [
        chunk(b"PLTE", _filling(random, random.choice((0, 3, 6, 48, 767, 768, 771)))),
        chunk(b"tRNS", _filling(random, random.choice((0, 1, 2, 6, 200, 256, 300)))),
        chunk(b"acTL", struct.pack(">II", random.choice((0, 1, 2, 2**31)), 0)),
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, _side(random), _side(random), 0, 0, 1, 1, 9, 1)),
        chunk(b"fdAT", bytes(4) + zlib.compress(pixels[:100])),
        chunk(b"gAMA", bytes(4)),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(100_000))),
        chunk(b"eXIf", tiff(random)),
        chunk(b"CgBI", bytes(4)),
    ]
    body = zlib.compress(pixels, 1)
    cuts = sorted(random.randrange(len(body) + 1) for _ in range(random.choice((0, 0, 1, 5))))
    data = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    chosen = random.sample(extras, random.choice((0, 1, 1, 2, 4)))
    return PNG_SIGNATURE + b"".join(
        [chunk(b"IHDR", header), *chosen, *(chunk(b"IDAT", part) for part in data), chunk(b"IEND", b"")]
    )


def tiff(random: Random) -> bytes:
    """A directory of picture tags with odd compressions, depths, planes and tiles; in places it points at itself."""
    order = random.choice("<>")
    meaning, samples, bits, kind = random.choice(_SENSIBLE_TIFFS)
    if random.random() < 0.3:
        meaning, samples = random.choice((3, 4, 5, 9, 10, 32803)), random.choice((1, 2, 5, 300))
        bits, kind = random.choice((1, 2, 4, 7, 12, 64)), random.choice((2, 4, 5, 6))
    width, height = _side(random), _side(random)
    pixels = _filling(random, random.choice((0, 64, 1000, 20_000)))
    compression = random.choice(_COMPRESSIONS)
    if compression in (8, 32946):
        pixels = zlib.compress(pixels)
    tags: dict[int, Sequence[int]] = {
        256: [width],
        257: [height],
        258: [bits] * min(samples, 9),
        259: [compression],
        262: [meaning],
        266: [random.choice((1, 1, 2, 3))],
        274: [random.choice((1, 3, 6, 8, 0, 9))],
        277: [samples],
        284: [random.choice((1, 1, 1, 2, 3))],
        317: [random.choice((1, 1, 2, 3, 9))],
        338: [random.choice((0, 1, 2))] * random.choice((1, 2)),
        339: [kind] * min(samples, 9),
        320: [random.randrange(65536) for _ in range(random.choice((3, 6, 768)))],
        530: [random.choice((0, 1, 2, 4, 3)), random.choice((0, 1, 2, 4))],
    }
    for tag in random.sample((266, 317, 320, 338, 530), random.choice((5, 5, 4, 3, 0))):
        del tags[tag]  # each of these is rare, and all of them together make no picture
    parts = random.choice((1, 1, 1, 2, 7, 300))
    if random.random() < 0.5:
        tags |= {278: [random.choice((0, 1, 8, height, 2**32 - 1))], 273: [8] * parts, 279: [len(pixels)] * parts}
    else:
        sides = [random.choice((0, 1, 15, 16, 17, 64, 4096, 65535)) for _ in range(2)]
        tags |= {322: sides[:1], 323: sides[1:], 324: [8] * parts, 325: [len(pixels) // parts] * parts}
    for tag in random.sample(sorted(tags), random.choice((0, 0, 1, 3))):
        del tags[tag]
    return _tiff_file(random, order, tags, pixels)


def _tiff_file(random: Random, order: str, tags: dict[int, Sequence[int]], pixels: bytes) -> bytes:
    values, entries, base = b"", b"", 8 + len(pixels)
    for tag, numbers in sorted(tags.items(), key=lambda item: item[0]):
        kind = 4 if tag in (256, 257, 273, 278, 279, 324, 325) else 3
        body = struct.pack(f"{order}{len(numbers)}{'I' if kind == 4 else 'H'}", *(n & (256**kind - 1) for n in numbers))
        place = body.ljust(4, b"\0")
        if len(body) > 4:
            place = struct.pack(order + "I", random.choice((base + len(values),) * 9 + (0, 8, base, 2**32 - 1)))
            values += body
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + place
    start = base + len(values)
    following = random.choice((0, 0, start, 2**32 - 1))  # the next directory: none, this one again, nowhere
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    count = struct.pack(order + "H", len(tags))
    end = struct.pack(order + "I", following)
    return mark + struct.pack(order + "I", start) + pixels + values + count + entries + end


def gif(random: Random) -> bytes:
    """Frames outside the screen, of no size, with impossible code sizes; transparent, interlaced, endless comments."""
    palette = _filling(random, 3 << 3)
    parts = [b"GIF89a", struct.pack("<HHBBB", _side(random) & 0xFFFF, _side(random) & 0xFFFF, 0x82, 0, 0), palette]
    for _ in range(random.choice((1, 1, 2, 5))):
        control = struct.pack("<BHB", random.randrange(256), 3, random.randrange(256))
        parts.append(b"!\xf9\4" + control + b"\0")
        if random.random() < 0.3:
            parts.append(b"!\xfe" + b"\3fox" * random.choice((1, 500)) + b"\0")
        box = [random.choice((0, 0, 1, 5, 65535)) for _ in range(2)] + [random.choice(SIDES) for _ in range(2)]
        parts.append(b"," + struct.pack("<HHHHB", *box, random.choice((0, 0x40, 0x80, 0xC7))))
        codes = _filling(random, random.choice((0, 5, 200)))
        parts.append(bytes([random.choice((2, 2, 8, 0, 1, 11, 12, 255)), len(codes)]) + codes + b"\0")
    return b"".join([*parts, b";"])


def bmp(random: Random) -> bytes:
    """Every header, depth and compression, upside down or not, with random masks and run lengths."""
    size = random.choice((12, 40, 40, 52, 56, 64, 108, 124, 41, 0, 2**31))
    width, height = _side(random), _side(random) * random.choice((1, 1, -1))
    bits, compression = random.choice((0, 1, 2, 4, 8, 16, 24, 32)), random.choice((0, 0, 1, 2, 3, 4, 5, 6, 11))
    if size == 12:
        header = struct.pack("<IHHHH", 12, width & 0xFFFF, abs(height) & 0xFFFF, 1, bits)
    else:
        colours = random.choice((0, 2, 16, 256, 2**31))
        fields = (size, width & 0xFFFFFFFF, height & 0xFFFFFFFF, 1, bits, compression, 0, 0, 0, colours, 0)
        header = struct.pack("<IIIHHIIIIII", *fields)
        masks = struct.pack("<IIII", *random.choice(((0xFF0000, 0xFF00, 0xFF, 0), (1, 2, 4, 8), (0, 0, 0, 0))))
        header = (header + masks).ljust(min(size, 124), b"\0")
    pixels = _filling(random, random.choice((0, 50, 2000, 20_000)))
    if compression in (1, 2):
        runs = (b"\0\0", b"\1\0\0\0", b"\xff\7", b"\0\2\3\2", b"\0\7fox fox\0", b"\0\1")
        pixels = b"".join(random.choices(runs, (4, 4, 4, 2, 2, 0.1), k=300))
    offset = random.choice((14 + len(header) + 1024, 14 + len(header), 0, 2**31))
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, offset) + header + bytes(range(256)) * 4 + pixels


def jpeg(random: Random) -> bytes:
    """Scans in odd orders and by the hundred, lying frames, restart intervals, tables and transforms nobody defined."""
    buffer = BytesIO()
    image = Image.frombytes("RGB", (24, 16), random.randbytes(1152))
    options = {"progressive": random.random() < 0.7, "subsampling": random.randrange(3)}
    image.convert(random.choice(("RGB", "L", "CMYK"))).save(buffer, "JPEG", quality=60, **options)
    head, *segments = split(buffer.getvalue())
    scans = [segment for segment in segments if segment[:2] == b"\xff\xda"]
    components = bytes([1, random.randrange(5), 0]) if random.random() < 0.8 else bytes([2, 1, 0, 2, 0x11])
    spectrum = random.choice((b"\1\x3f\0", b"\0\0\1", b"\1\x3f\x10", b"\0\0\x10", b"\1\x3f\x21", b"\x3f\1\0"))
    empty = b"\xff\xda" + struct.pack(">H", len(components) + 5) + components + spectrum
    extras = [
        empty * random.choice((1, 5, 300)),
        random.choice(scans) * random.choice((1, 5, 100)),
        b"\xff\xdd\0\4" + random.randbytes(2),
        b"\xff\xee\0\x0eAdobe" + bytes([0, 100, 0, 0, 0, 0, random.randrange(4)]),
        b"\xff\xdc\0\4\0\x40",
        b"\xff" * random.choice((1, 1000)),
        b"\xff\xc4\0\x13" + random.randbytes(17),
        b"\xff\xdb\0\x43" + random.randbytes(65),
    ]
    for extra in random.sample(extras, random.choice((1, 1, 2, 3))):
        segments.insert(random.randrange(1, len(segments)), extra)
    for index, segment in enumerate(segments):
        if segment[:1] == b"\xff" and segment[1:2] in (b"\xc0", b"\xc2") and random.random() < 0.5:
            segments[index] = _damaged_frame(random, segment)
    return head + b"".join(segments)


def _damaged_frame(random: Random, frame: bytes) -> bytes:
    """Start of frame: another size, precision, kind of coding or sampling."""
    damaged = bytearray(frame)
    choice = random.randrange(4)
    if choice == 0:
        damaged[5:9] = struct.pack(">HH", _side(random) & 0xFFFF, _side(random) & 0xFFFF)
    elif choice == 1:
        damaged[4] = random.choice((0, 1, 12, 16, 255))
    elif choice == 2:
        damaged[1] = random.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCB))
    else:
        damaged[11 + 3 * random.randrange(max(1, damaged[9]))] = random.choice((0, 0x11, 0x14, 0x41, 0x44, 0xFF))
    return bytes(damaged)


def webp(random: Random) -> bytes:
    """An extended header that contradicts the pictures, frames out of bounds, alpha without colour."""
    buffer = BytesIO()
    Image.frombytes("RGB", (16, 8), random.randbytes(384)).save(
        buffer, "WEBP", lossless=random.random() < 0.5, method=0, quality=50
    )
    picture = buffer.getvalue()[12:]
    box = b"".join(random.choice((0, 0, 1, 7, 15, 2**24 - 1)).to_bytes(3, "little") for _ in range(4))
    frame = chunk_riff(b"ANMF", box + b"\x28\0\0" + bytes([random.randrange(4)]) + picture)
    parts = [
        chunk_riff(b"ANIM", random.randbytes(6)),
        *[frame] * random.choice((1, 2, 50)),
        chunk_riff(b"ALPH", random.randbytes(random.choice((1, 9, 129)))),
        picture,
        chunk_riff(b"EXIF", tiff(random)),
        chunk_riff(b"ICCP", bytes(64)),
    ]
    sides = [random.choice((own, own, own, own, 0, 31, 16_382, 2**24 - 1)).to_bytes(3, "little") for own in (15, 7)]
    header = chunk_riff(b"VP8X", bytes([random.randrange(256), 0, 0, 0]) + b"".join(sides))
    body = b"WEBP" + header + b"".join(random.sample(parts, random.randrange(1, len(parts))))
    return b"RIFF" + struct.pack("<I", len(body)) + body


BUILDERS: tuple[Callable[[Random], bytes], ...] = (png, tiff, tiff, gif, bmp, jpeg, webp)


def _side(random: Random) -> int:
    return random.choice(HUGE_SIDES) if random.random() < 0.05 else random.choice(SIDES)


def _row_bytes(width: int, pixel_bits: int) -> int:
    return (width * pixel_bits + 7) // 8


def _filling(random: Random, size: int) -> bytes:
    """Random bytes, or one byte throughout, which compresses well and is quickly made."""
    return random.randbytes(size) if random.random() < 0.5 else bytes([random.randrange(256)]) * size
