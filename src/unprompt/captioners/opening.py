"""Captioners by name: their default settings, and where their weights are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unprompt.captioners.families import FAMILIES, MODELS, refusal
from unprompt.captioners.folder import CaptionSource, HubSource, LocalSource, read_config
from unprompt.captioners.settings import CaptionSettings
from unprompt.errors import DataError, ModelError, UnknownNameError, UnpromptError, needing
from unprompt.models.store.registry import LOCAL

if TYPE_CHECKING:
    from unprompt.captioners.captioner import TorchCaptioner


BLIP = CaptionSettings(beams=8, min_length=5, max_length=32, question="a picture of")
"""From the published ensemble (CLIP Interrogator 0.4.3). The question is BLIP's own: it was trained to continue it."""

BLIP2 = CaptionSettings(beams=5, min_length=1, max_length=31, batch_size=8)
"""From LAVIS's generate: 30 tokens after the first."""

GIT = CaptionSettings(beams=4, min_length=1, max_length=40, length_penalty=0.6)
"""From its authors (microsoft/GenerativeImage2Text)."""

COCA = CaptionSettings(beams=2, min_length=5, max_length=30)
"""From open_clip's generate: its six beams are three identical groups of two."""

OFA = CaptionSettings(
    beams=5, min_length=2, max_length=21, no_repeat_ngram_size=2, question=" what does the image describe?"
)
"""From the published ensemble; the leading space is part of the question."""

DEFAULTS: Mapping[str, CaptionSettings] = {
    "blip": BLIP,
    "blip-2": BLIP2,
    "git": GIT,
    **{kind: family.settings for kind, family in FAMILIES.items()},
}
"""Settings by the `model_type` of transformers' configs."""

REPOSITORIES: Mapping[str, tuple[str, str]] = {
    "blip-base": ("blip", "Salesforce/blip-image-captioning-base"),
    "blip-large": ("blip", "Salesforce/blip-image-captioning-large"),
    "blip2-2.7b": ("blip-2", "Salesforce/blip2-opt-2.7b"),
    "blip2-flan-t5-xl": ("blip-2", "Salesforce/blip2-flan-t5-xl"),
    "git-large-coco": ("git", "microsoft/git-large-coco"),
}
"""clip-interrogator's names, each with its `model_type` and its repository on the hub."""

COCA_NAMES = (
    "coca_ViT-B-32.laion2b_s13b_b90k",
    "coca_ViT-B-32.mscoco_finetuned_laion2b_s13b_b90k",
    "coca_ViT-L-14.laion2b_s13b_b90k",
    "coca_ViT-L-14.mscoco_finetuned_laion2b_s13b_b90k",
)
"""open_clip's CoCa models whose weights are published."""

OFA_KIND = "ofa"
"""The `model_type` of OFA's configs."""

OFA_NAMES = ("ofa-tiny", "ofa-medium", "ofa-base", "ofa-large", "ofa-huge", "ofa-large-caption")
"""The models that OFA's authors published on the hub; the published ensemble uses the last one."""

_OFA_OWNER = "OFA-Sys"

CAPTIONERS = (*REPOSITORIES, *MODELS, *COCA_NAMES, *OFA_NAMES)
"""All names."""


def open_caption_model(name: str, changes: Mapping[str, Any] = {}, *, weights: Path | None = None) -> TorchCaptioner:
    """Open the captioner named in CAPTIONERS, or the one in `local:FOLDER` (transformers' layout, or OFA's own).

    Nothing is loaded yet. `changes` override the model's own `CaptionSettings`. `weights` is a folder or, for CoCa, a
    safetensors file to use instead of the hub's cache. Raises UnknownNameError for an unknown name or setting,
    DataError for a bad setting or `local:FOLDER` with weights elsewhere, ModelError for a folder that is not a
    captioner's, and MissingExtraError without torch.
    """
    check_one_place(name, weights)
    with needing("torch", f"the captioner {name}"):
        if name in COCA_NAMES:
            from unprompt.captioners.coca import open_coca

            return open_coca(name, _plain(COCA.changed(changes), name), weights)
        if place := _ofa_place(name, weights):
            from unprompt.captioners.ofa.writer import open_ofa

            return open_ofa(name, place, _plain(OFA.changed(changes), name))
        source = _source(name, weights)
        settings = (MODELS[name].settings if name in MODELS else DEFAULTS[source.kind]).changed(changes)
        if source.kind in FAMILIES:
            from unprompt.captioners.vision_language import open_vision_language

            return open_vision_language(name, source, settings)
        from unprompt.captioners.transformers import open_transformers
    return open_transformers(name, source, _plain(settings, name))


def check_one_place(name: str, weights: Path | None) -> None:
    """Raise DataError for `local:FOLDER` with weights elsewhere."""
    if name.startswith(LOCAL) and weights is not None:
        raise DataError(f"expected one place for a captioner, found {name} and weights = {weights}; leave one out")


def _plain(settings: CaptionSettings, name: str) -> CaptionSettings:
    """The settings of a captioner of 2023. Raises DataError for those that only today's have."""
    if settings.system or settings.bits:
        raise DataError(f"{name} takes neither a system text nor bits; leave both out")
    return settings


def _ofa_place(name: str, weights: Path | None) -> Path | str | None:
    """The folder or hub repository of an OFA checkpoint; None for other captioners."""
    if name in OFA_NAMES:
        return weights or f"{_OFA_OWNER}/{name}"
    folder = Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else None
    return folder if folder is not None and read_config(folder).get("model_type") == OFA_KIND else None


def _source(name: str, weights: Path | None) -> CaptionSource:
    if name.startswith(LOCAL):
        return LocalSource(Path(name.removeprefix(LOCAL)))
    if name in MODELS:
        kind, repository = MODELS[name].kind, MODELS[name].repository
    elif name in REPOSITORIES:
        kind, repository = REPOSITORIES[name]
    else:
        raise unknown_captioner(name)
    if weights is None:
        return HubSource(name, kind, repository)
    source = LocalSource(weights)
    if source.kind != kind:
        raise ModelError(f"{weights} holds a model of the type {source.kind}; {name} is one of the type {kind}")
    return source


def unknown_captioner(name: str) -> UnpromptError:
    """The error for a name that is not in CAPTIONERS: of a repository, it says what to write instead."""
    told = refusal(name)
    return DataError(told) if told else UnknownNameError("captioner", name, (*CAPTIONERS, f"{LOCAL}FOLDER"))
