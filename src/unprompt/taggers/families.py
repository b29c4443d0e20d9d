"""The families of taggers: the files of each, how it sees a picture, what its outputs mean, and which tags count.

Sources: the inference code of the repositories of SmilingWolf, fancyfeast, PixAI and Camais03, and dghs-imgutils 0.19.0
for the ONNX of PixAI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, get_args

from PIL import Image

FamilyName: TypeAlias = Literal["wd", "pixai", "joytag", "camie", "camie-v2"]
"""Names of families, as presets write them."""

FAMILY_NAMES: tuple[FamilyName, ...] = get_args(FamilyName)

Category: TypeAlias = Literal["general", "character", "copyright", "artist", "meta", "year", "rating"]
"""What a tag is about, in Danbooru's words: a character's copyright is the series that it is from."""

CATEGORIES: tuple[Category, ...] = get_args(Category)

Rgb: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Square:
    """How a picture becomes a square input.

    `fit` "pad" pads the picture to a square and resizes that, "inside" resizes it until it fits into the square and
    pads the rest, "squash" changes its proportions. `side` is in pixels, for models that do not say it. With `raw` the
    input is (side, side, 3), blue first, 0 to 255; else (3, side, side), red first, scaled to 0 to 1, less `mean`, and
    divided by `std`.
    """

    side: int
    fit: Literal["pad", "inside", "squash"]
    resampling: Image.Resampling
    background: tuple[int, int, int] = (255, 255, 255)
    raw: bool = False
    mean: Rgb = (0.0, 0.0, 0.0)
    std: Rgb = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a model, with a number for each tag: its probability or, if they are `logits`, before a sigmoid."""

    name: str
    logits: bool


@dataclass(frozen=True, slots=True)
class Family:
    """Taggers that are used in the same way.

    `repositories` are patterns of names on the hub. `weights` and `tags` are names of files, of which one is needed.
    `outputs` are in order of preference; in a model that has none of these names, the last output with a number for
    each tag counts, and is like the first of them. A tag counts if its probability is above that of its category in
    `thresholds`, or in the repository's `threshold_file`.
    """

    name: FamilyName
    repositories: tuple[str, ...]
    weights: tuple[str, ...]
    tags: tuple[str, ...]
    square: Square
    outputs: tuple[Output, ...]
    thresholds: Mapping[Category, float] = field(hash=False)
    threshold_file: str = ""


_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            "wd",
            repositories=("SmilingWolf/wd-*", "deepghs/idolsankaku-*-tagger-v1"),
            weights=("model.onnx",),
            tags=("selected_tags.csv",),
            square=Square(448, "pad", Image.Resampling.BICUBIC, raw=True),
            outputs=(Output("output", logits=False), Output("predictions_sigmoid", logits=False)),
            thresholds={"general": 0.35, "character": 0.85},
        ),
        Family(
            "pixai",
            repositories=("deepghs/pixai-tagger-*-onnx",),
            weights=("model.onnx",),
            tags=("selected_tags.csv",),
            square=Square(448, "squash", Image.Resampling.BILINEAR, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
            outputs=(
                Output("prediction", logits=False),
                Output("output", logits=False),
                Output("logits", logits=True),
            ),
            thresholds={"general": 0.3, "character": 0.85},
            threshold_file="thresholds.csv",
        ),
        Family(
            "joytag",
            repositories=("fancyfeast/joytag",),
            weights=("model.onnx",),
            tags=("top_tags.txt",),
            square=Square(448, "pad", Image.Resampling.BICUBIC, mean=_CLIP_MEAN, std=_CLIP_STD),
            outputs=(Output("output", logits=True),),
            thresholds={"general": 0.4},
        ),
        Family(
            "camie",
            repositories=("Camais03/camie-tagger",),
            weights=("model_initial.onnx", "model.onnx"),
            tags=("model_initial_metadata.json", "metadata.json"),
            square=Square(512, "inside", Image.Resampling.LANCZOS, background=(0, 0, 0)),
            outputs=(
                Output("refined_predictions", logits=True),
                Output("initial_predictions", logits=True),
                Output("logits", logits=True),
            ),
            thresholds=dict.fromkeys(CATEGORIES, 0.325),
        ),
        Family(
            "camie-v2",
            repositories=("Camais03/camie-tagger-v2",),
            weights=("camie-tagger-v2.onnx", "model.onnx"),
            tags=("camie-tagger-v2-metadata.json", "metadata.json"),
            square=Square(
                512,
                "inside",
                Image.Resampling.LANCZOS,
                background=(124, 116, 104),
                mean=_IMAGENET_MEAN,
                std=_IMAGENET_STD,
            ),
            outputs=(
                Output("refined_predictions", logits=True),
                Output("initial_predictions", logits=True),
                Output("logits", logits=True),
            ),
            thresholds=dict.fromkeys(CATEGORIES, 0.492),
        ),
    )
}
"""All families by name."""


def family_of(repository: str) -> Family | None:
    """The family of a repository on the hub, by its name; None if it is of no known one."""
    return next(
        (
            family
            for family in FAMILIES.values()
            if any(fnmatchcase(repository, pattern) for pattern in family.repositories)
        ),
        None,
    )
