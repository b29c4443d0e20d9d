"""Makes the pictures of this folder; LICENSES.md says whose they are.

The photographs come out of the package scikit-image, which is no dependency of the project:

    pip install scikit-image && python examples/make_examples.py
"""

from __future__ import annotations

import math
import random
from pathlib import Path

import skimage.data
from PIL import Image, ImageDraw, ImageFilter
from PIL.PngImagePlugin import PngInfo

HERE = Path(__file__).parent
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
MAX_SIDE = 512

# In the layout of AUTOMATIC1111's web UI: prompt, negative prompt, settings.
WRITTEN = """\
a (full moon:1.2) rising over blue mountains, reflected in a calm lake, starry night sky, flat vector illustration
Negative prompt: people, text, watermark, blurry
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 20260, Size: 512x384, Model: drawn by hand"""


def photograph(name: str) -> Image.Image:
    """The photograph of that name, no side longer than MAX_SIDE."""
    picture = Image.fromarray(getattr(skimage.data, name)())
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return picture


def moonrise(width: int = 512, height: int = 384) -> Image.Image:
    """What the written prompt says, drawn: a moon, stars, two ranges of mountains and their reflection."""
    shore = height * 2 // 3
    chance = random.Random(0)
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    for y in range(shore):
        draw.line([(0, y), (width, y)], fill=_blend((10, 14, 48), (86, 104, 176), y / shore))
    for _ in range(90):
        x, y, size = chance.randrange(width), chance.randrange(shore * 2 // 3), chance.choice((0, 0, 1))
        draw.ellipse([x, y, x + size, y + size], fill=(225, 230, 255))
    glow = Image.new("L", (width, height))
    ImageDraw.Draw(glow).ellipse([288, 32, 448, 192], fill=110)
    picture.paste((255, 246, 214), mask=glow.filter(ImageFilter.GaussianBlur(24)))
    draw.ellipse([316, 60, 420, 164], fill=(255, 246, 214))
    for x, y, radius in ((348, 92, 11), (382, 120, 15), (372, 84, 6)):
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(238, 226, 190))
    for top, swing, colour in ((176, 46, (58, 74, 140)), (212, 30, (28, 38, 88))):
        ridge = [(x, top - swing * _ridge(x / width, top)) for x in range(0, width + 8, 8)]
        draw.polygon([(0, shore), *ridge, (width, shore)], fill=colour)
    lake = picture.crop((0, 2 * shore - height, width, shore)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    picture.paste(Image.blend(lake, Image.new("RGB", lake.size, (20, 28, 80)), 0.35), (0, shore))
    for y in range(shore, height, 6):
        draw.line([(0, y), (width, y)], fill=(70, 88, 160))
    return picture


def _blend(start: tuple[int, int, int], end: tuple[int, int, int], share: float) -> tuple[int, ...]:
    return tuple(round(a + (b - a) * share) for a, b in zip(start, end, strict=True))


def _ridge(x: float, phase: int) -> float:
    """A height between -1 and 1: three sharp waves."""
    waves = ((1.0, 5.1), (0.5, 11.3), (0.25, 23.7))
    return sum(size * abs(math.sin(x * frequency + phase)) for size, frequency in waves) - 0.9


def main() -> None:
    """Write all pictures."""
    for name in PHOTOGRAPHS:
        photograph(name).save(HERE / f"{name}.jpg", quality=88, optimize=True)
    text = PngInfo()
    text.add_text("parameters", WRITTEN)
    moonrise().save(HERE / "written.png", pnginfo=text, optimize=True)


if __name__ == "__main__":
    main()
