"""The fuzzer's inputs: each follows from (target, seed, index) alone, so a number in a log brings it back."""

from __future__ import annotations

from random import Random
from typing import Literal

from fuzz import built_metadata, built_pictures, seeds
from fuzz.mutations import LARGEST_BYTES, mutate

Target = Literal["metadata", "decode"]
TARGETS: tuple[Target, ...] = ("metadata", "decode")

_BUILT_SHARE = 0.4
# AVIF and HEIC take ten times as long as the others to decode, and their boxes are few.
_FORMATS = {"PNG": 6, "JPEG": 6, "WEBP": 4, "GIF": 3, "BMP": 3, "TIFF": 6, "AVIF": 1, "HEIC": 1, "JXL": 1}


def make(target: Target, seed: int, index: int) -> bytes:
    """The input of this number: a real file damaged, or one built by hand, which may be damaged as well."""
    random = Random(f"{target} {seed} {index}")
    if random.random() < _BUILT_SHARE:
        builders = built_metadata.BUILDERS if target == "metadata" else built_pictures.BUILDERS
        data = random.choice(builders)(random)
        return mutate(random, data, _real(target, random)) if random.random() < 0.3 else data[: 2 * LARGEST_BYTES]
    return mutate(random, _real(target, random), _real(target, random))


def _real(target: Target, random: Random) -> bytes:
    files = seeds.metadata() if target == "metadata" else seeds.pictures()
    (name,) = random.choices([*files], [_FORMATS[name] for name in files])
    return random.choice(files[name])
