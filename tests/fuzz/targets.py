"""What is fuzzed, and what must hold of every answer; whatever is raised here is a fault."""

from __future__ import annotations

import hashlib
import json
import unicodedata
import warnings
from collections.abc import Callable

import numpy as np
from fuzz.inputs import Target

from unprompt.images.decode import Picture, decode
from unprompt.images.metadata import c2pa, iptc_source, makers, reader
from unprompt.images.metadata.composing import LONGEST_PROMPT
from unprompt.images.metadata.containers.pieces import BLOCK_LIMIT_BYTES
from unprompt.images.metadata.fields import TEXT_LIMIT_BYTES, extract
from unprompt.images.metadata.reader import find  # without the net under `read`, which would hide our own faults
from unprompt.images.sources import image_refs
from unprompt.prediction import Failure, WrittenPrompt

PIXEL_LIMIT_MP, MEMORY_LIMIT_MB = 2.0, 180
"""Low, so that a header that promises much costs the fuzzer little; the limits themselves are tested elsewhere."""

TOOLS = frozenset(
    {
        "AUTOMATIC1111", "Black Forest Labs", "Civitai", "ComfyUI", "Draw Things", "Easy Diffusion", "Fooocus", "Forge",
        "Hugging Face Space", "InvokeAI", "KoboldCpp", "MFLUX", "Midjourney", "Mochi Diffusion", "NovelAI",
        "RuinedFooocus", "SD.Next", "Stability Matrix", "SwarmUI", "Tensor.Art", "stable-diffusion.cpp", "unknown",
    }
)  # fmt: skip
MAKERS = makers.NAMES | {c2pa.TOOL, iptc_source.TOOL}
"""Whom a file without words may name."""

FORMATS = frozenset({"PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIC", "JXL"})
KINDS = frozenset({"not-a-picture", "truncated", "too-large"})
"""Those of PictureError that bytes can lead to."""

_SHORTER_SIDES = (None, 4, 224)
# What is imported here, by the readers and the containers, does not count as the first input's own memory.
for _place in reader.READERS:
    reader.reader_at(_place)
for _head in (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF89a", b"II*\0", b"\x1aE\xdf\xa3", b"\0\0\0\x08ftyp",
    b"RIFF\0\0\0\0WEBP",
):  # fmt: skip
    find(_head + bytes(60))
_MARKS_OF_DIRECTION = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def check_metadata(data: bytes) -> None:
    """The readers answer, without a warning, and what they answer can be shown and written anywhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = find(data)
    if found is not None:
        _check_written(found)


def check_decode(data: bytes) -> None:
    """`decode` answers with a Picture or a Failure that hold what their documentation promises."""
    shorter_side = _SHORTER_SIDES[len(data) % len(_SHORTER_SIDES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damaged tags; the picture may be fine
        (ref,) = image_refs(data)
        result = decode(
            ref,
            shorter_side=shorter_side,
            pixel_limit_mp=PIXEL_LIMIT_MP,
            memory_limit_mb=MEMORY_LIMIT_MB,
            read_metadata=False,
        )
    assert result.source == ref.source
    if isinstance(result, Failure):
        assert result.kind in KINDS, result
        assert result.message.isprintable(), result
        assert result.message, result
    else:
        _check_picture(result, data, shorter_side)


def check_places(data: bytes) -> None:
    """The places of a file are read without a warning, and give texts that are no larger than their limits."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = extract(data)
    for texts in (found.text, found.exif, found.xmp, found.iptc):
        assert all(isinstance(name, str) and isinstance(text, str) for name, text in texts.items()), texts
    assert sum(map(len, found.text.values())) <= TEXT_LIMIT_BYTES
    assert len(found.c2pa) <= BLOCK_LIMIT_BYTES


CHECKS: dict[Target, Callable[[bytes], None]] = {
    "metadata": check_metadata,
    "decode": check_decode,
    "boxes": check_places,
    "elements": check_places,
    "blocks": check_places,
    "graphs": check_metadata,
}


def _check_written(found: WrittenPrompt) -> None:
    assert found.tool in TOOLS | MAKERS, found.tool
    assert found.prompt or not found.texts, "without a prompt there are no texts"
    negative = [] if found.negative_prompt is None else [found.negative_prompt]
    assert negative != [""], "an empty negative prompt is None"
    texts = (text.text for text in found.texts)
    names = (name for resource in found.resources for name in (resource.name, resource.hash or ""))
    for text in (found.prompt, *negative, *found.settings, *map(str, found.settings.values()), *texts, *names):
        _check_shown(text)
    assert len(found.prompt) <= LONGEST_PROMPT
    assert len(found.settings) <= 100
    for value in found.settings.values():
        assert isinstance(value, (str, int, float)), value
    json.dumps([found.raw, dict(found.settings)], allow_nan=False, ensure_ascii=False).encode()


def _check_shown(text: str) -> None:
    """Nothing in it drives a terminal or breaks a line, and white space is single."""
    assert isinstance(text, str), text
    assert text == " ".join(text.split()), text
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") or character in _MARKS_OF_DIRECTION:
            raise AssertionError(f"{character!r} in {text!r}")


def _check_picture(found: Picture, data: bytes, shorter_side: int | None) -> None:
    width, height = found.size
    assert found.format in FORMATS, found.format
    assert found.written is None
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert 0 < width * height <= PIXEL_LIMIT_MP * 1_000_000
    assert found.pixels.dtype == np.uint8
    rows, columns, channels = found.pixels.shape
    assert channels == 3
    assert (rows <= height and columns <= width) if shorter_side else (columns, rows) == found.size
    assert min(rows, columns) >= min(width, height, shorter_side or min(width, height))
