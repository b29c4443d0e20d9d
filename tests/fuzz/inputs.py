"""The fuzzer's inputs: each follows from (target, seed, index) alone, so a number in a log brings it back."""

from __future__ import annotations

from random import Random
from typing import Literal

from fuzz import built_graphs, built_metadata, built_pictures, built_places, seeds
from fuzz.mutations import LARGEST_BYTES, mutate

Target = Literal["metadata", "decode", "boxes", "elements", "blocks", "graphs"]
TARGETS: tuple[Target, ...] = ("metadata", "decode", "boxes", "elements", "blocks", "graphs")

_BUILDERS = {
    "metadata": built_metadata.BUILDERS,
    "decode": built_pictures.BUILDERS,
    "boxes": built_places.BOXES,
    "elements": built_places.ELEMENTS,
    "blocks": built_places.BLOCKS,
    "graphs": built_graphs.BUILDERS,
}
_BUILT_SHARE = {"metadata": 0.4, "decode": 0.4, "graphs": 1.0}
_DAMAGED_SHARE = {"metadata": 0.3, "decode": 0.3, "graphs": 0.1}
# AVIF and HEIC take ten times as long as the others to decode, and their boxes are few.
_FORMATS = {"PNG": 6, "JPEG": 6, "WEBP": 4, "GIF": 3, "BMP": 3, "TIFF": 6, "AVIF": 1, "HEIC": 1, "JXL": 1}


def make(target: Target, seed: int, index: int) -> bytes:
    """The input of this number: a real file damaged, or one built by hand, which may be damaged as well."""
    random = Random(f"{target} {seed} {index}")
    if random.random() < _BUILT_SHARE.get(target, 0.7):
        data = random.choice(_BUILDERS[target])(random)
        is_damaged = random.random() < _DAMAGED_SHARE.get(target, 0.5)
        return mutate(random, data, _real(target, random)) if is_damaged else data[: 2 * LARGEST_BYTES]
    return mutate(random, _real(target, random), _real(target, random))


def _real(target: Target, random: Random) -> bytes:
    files = {
        "metadata": seeds.metadata,
        "decode": seeds.pictures,
        "boxes": seeds.boxes,
        "elements": seeds.elements,
        "blocks": seeds.blocks,
        "graphs": seeds.blocks,
    }[target]()
    (name,) = random.choices([*files], [_FORMATS.get(name, 2) for name in files])
    return random.choice(files[name])
