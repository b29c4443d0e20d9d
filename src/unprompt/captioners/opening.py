"""Captioners by name: where their weights are, how they are asked, and what a user may change of that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unprompt.captioners.folder import CaptionSource, HubSource, LocalSource, read_config
from unprompt.errors import DataError, ModelError, UnknownNameError, needing
from unprompt.models.store.registry import LOCAL

if TYPE_CHECKING:
    from unprompt.captioners.captioner import TorchCaptioner

_BOUNDS = {"beams": (1, 64), "min_length": (0, 512), "max_length": (2, 512), "no_repeat_ngram_size": (0, 512)}
_BOUNDS["batch_size"] = (1, 1024)
_PENALTIES = (0.0, 10.0)
_LONGEST_TEXT = 1000  # characters


@dataclass(frozen=True, slots=True)
class CaptionSettings:
    """How a captioner is asked, and how it searches. Raises DataError for values that make no sense.

    Lengths are in tokens, as the published systems count them: the one that begins a text is included, and so is the
    question where the text goes on from it. `no_repeat_ngram_size`: so many tokens in a row never come twice (0: they
    may). A hypothesis is worth the sum of its tokens' scores / length ** length_penalty. The caption goes on from
    `question`, or answers it, and does not contain it; `suffix` is appended. Of the pictures of one call up to
    `batch_size` go through a GPU together, and half as many where there is no room; a call of `Unprompter.predict` has
    8, unless its own `batch_size` says more.
    """

    beams: int
    min_length: int
    max_length: int
    no_repeat_ngram_size: int = 0
    length_penalty: float = 1.0
    question: str = ""
    suffix: str = ""
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise DataError(f"expected {name} to be a whole number from {least} to {most}, found {value!r}")
        if self.min_length >= self.max_length:
            raise DataError(
                f"expected min_length to be less than max_length, found {self.min_length} and {self.max_length}"
            )
        penalty = self.length_penalty
        if isinstance(penalty, bool) or not isinstance(penalty, (int, float)) or not _in_bounds(penalty):
            raise DataError(f"expected length_penalty to be a number from 0 to 10, found {penalty!r}")
        for name in ("question", "suffix"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
                shown = f"{len(text):,} characters" if isinstance(text, str) else repr(text)
                raise DataError(f"expected {name} to be a text of up to {_LONGEST_TEXT:,} characters, found {shown}")

    def changed(self, changes: Mapping[str, Any]) -> CaptionSettings:
        """These with some values replaced. Raises UnknownNameError for a setting that there is not."""
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownNameError("caption setting", name, known)
        return replace(self, **changes)


def _in_bounds(penalty: float) -> bool:
    return math.isfinite(penalty) and _PENALTIES[0] <= penalty <= _PENALTIES[1]


BLIP = CaptionSettings(beams=8, min_length=5, max_length=32, question="a picture of")
"""The published ensemble's (CLIP Interrogator 0.4.3). The question is BLIP's own: all its captions went on from it."""

BLIP2 = CaptionSettings(beams=5, min_length=1, max_length=31, batch_size=8)
"""LAVIS's generate: 30 tokens behind the first."""

GIT = CaptionSettings(beams=4, min_length=1, max_length=40, length_penalty=0.6)
"""Its authors' (microsoft/GenerativeImage2Text)."""

COCA = CaptionSettings(beams=2, min_length=5, max_length=30)
"""open_clip's generate: its six beams are three groups of two, and nothing ever makes one differ from another."""

OFA = CaptionSettings(
    beams=5, min_length=2, max_length=21, no_repeat_ngram_size=2, question=" what does the image describe?"
)
"""The published ensemble's; the leading blank is part of the question."""

DEFAULTS: Mapping[str, CaptionSettings] = {"blip": BLIP, "blip-2": BLIP2, "git": GIT}
"""By `model_type`, as transformers' configs have it."""

REPOSITORIES: Mapping[str, tuple[str, str]] = {
    "blip-base": ("blip", "Salesforce/blip-image-captioning-base"),
    "blip-large": ("blip", "Salesforce/blip-image-captioning-large"),
    "blip2-2.7b": ("blip-2", "Salesforce/blip2-opt-2.7b"),
    "blip2-flan-t5-xl": ("blip-2", "Salesforce/blip2-flan-t5-xl"),
    "git-large-coco": ("git", "microsoft/git-large-coco"),
}
"""clip-interrogator's names: `model_type`, and the hub's repository."""

COCA_NAMES = (
    "coca_ViT-B-32.laion2b_s13b_b90k",
    "coca_ViT-B-32.mscoco_finetuned_laion2b_s13b_b90k",
    "coca_ViT-L-14.laion2b_s13b_b90k",
    "coca_ViT-L-14.mscoco_finetuned_laion2b_s13b_b90k",
)
"""Those of open_clip's CoCa whose weights are published."""

OFA_KIND = "ofa"
"""The `model_type` of OFA's configs."""

OFA_NAMES = ("ofa-tiny", "ofa-medium", "ofa-base", "ofa-large", "ofa-huge", "ofa-large-caption")
"""Its authors' on the hub; the last is the published ensemble's."""

_OFA_OWNER = "OFA-Sys"

CAPTIONERS = (*REPOSITORIES, *COCA_NAMES, *OFA_NAMES)
"""Every name."""


def open_caption_model(name: str, changes: Mapping[str, Any] = {}, *, weights: Path | None = None) -> TorchCaptioner:
    """The captioner of a name in CAPTIONERS, or `local:FOLDER` for a folder of transformers' layout or OFA's own.

    Nothing is loaded yet. `changes` are values of `CaptionSettings` in place of the model's own. `weights` is where
    they lie if not in the hub's cache: such a folder, or CoCa's safetensors file.
    Raises UnknownNameError, DataError for settings or two places, ModelError for a folder that holds no captioner, and
    MissingExtraError without torch.
    """
    check_one_place(name, weights)
    with needing("torch", f"the captioner {name}"):
        if name in COCA_NAMES:
            from unprompt.captioners.coca import open_coca

            return open_coca(name, COCA.changed(changes), weights)
        if place := _ofa_place(name, weights):
            from unprompt.captioners.ofa.writer import open_ofa

            return open_ofa(name, place, OFA.changed(changes))
        source = _source(name, weights)
        settings = DEFAULTS[source.kind].changed(changes)
        from unprompt.captioners.transformers import open_transformers
    return open_transformers(name, source, settings)


def check_one_place(name: str, weights: Path | None) -> None:
    """Raises DataError for `local:FOLDER` with weights elsewhere."""
    if name.startswith(LOCAL) and weights is not None:
        raise DataError(f"expected one place of a captioner, found {name} and weights = {weights}; leave one out")


def _ofa_place(name: str, weights: Path | None) -> Path | str | None:
    """Where an OFA's checkpoint is: a folder, or the hub's repository; None for what is no OFA."""
    if name in OFA_NAMES:
        return weights or f"{_OFA_OWNER}/{name}"
    folder = Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else None
    return folder if folder is not None and read_config(folder).get("model_type") == OFA_KIND else None


def _source(name: str, weights: Path | None) -> CaptionSource:
    if name.startswith(LOCAL):
        return LocalSource(Path(name.removeprefix(LOCAL)))
    if name not in REPOSITORIES:
        raise UnknownNameError("captioner", name, (*CAPTIONERS, f"{LOCAL}FOLDER"))
    kind, repository = REPOSITORIES[name]
    if weights is None:
        return HubSource(name, kind, repository)
    source = LocalSource(weights)
    if source.kind != kind:
        raise ModelError(f"{weights} holds a model of the type {source.kind}; {name} is one of the type {kind}")
    return source
