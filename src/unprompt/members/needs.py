"""What the members of a preset need on the disk, as far as it can be told without loading anything."""

from __future__ import annotations

from pathlib import Path

from unprompt.bank.needs import bank_need
from unprompt.captioners.needs import captioner_need
from unprompt.interrogation.captions import EMBEDDED, is_model
from unprompt.interrogation.captions import MODELS as CAPTION_MODELS
from unprompt.models.store.needs import Need, folder_need, package_need
from unprompt.models.store.registry import SENTENCE_ENCODER
from unprompt.models.store.weights import HUB
from unprompt.presets import CAPTIONER, INTERROGATOR, NEIGHBOURS, REGRESSOR, MemberSpec
from unprompt.towers.embedded import NAME as EMBEDDED_PAIR
from unprompt.towers.needs import towers_need
from unprompt.vocabulary.original import NAME as ORIGINAL

_SEEING = CAPTION_MODELS[0]
"""By which the embedded pair sees, too."""


def needs_of(spec: MemberSpec) -> list[Need]:
    """Each thing that a member needs.

    Raises UnknownNameError for a model that nobody knows, MissingExtraError where only open_clip knows it.
    """
    options = spec.options
    if spec.kind == REGRESSOR:
        return [folder_need(spec.model)]
    if spec.kind == CAPTIONER:
        return [captioner_need(spec.model, Path(options["weights"]) if "weights" in options else None)]
    needs = _towers(spec)
    if spec.kind == NEIGHBOURS and "bank" in options:
        needs.append(bank_need(Path(options["bank"]), spec.model, approximate=options.get("approximate", False)))
    if spec.kind == INTERROGATOR:
        needs += [*_caption(options.get("caption", EMBEDDED)), *_lists(spec)]
    return needs


def _towers(spec: MemberSpec) -> list[Need]:
    if spec.model == EMBEDDED_PAIR:
        return [folder_need(_SEEING), folder_need(SENTENCE_ENCODER)]
    return [towers_need(spec.model, spec.options.get("weights", HUB))]


def _caption(caption: str) -> list[Need]:
    if caption == EMBEDDED:
        return [folder_need(name) for name in CAPTION_MODELS]
    return [captioner_need(caption)] if is_model(caption) else []


def _lists(spec: MemberSpec) -> list[Need]:
    """The package whose lists are asked for; of a user's own lists what opens them says more."""
    if ORIGINAL not in spec.options.get("vocabulary", ()):
        return []
    return [package_need("clip_interrogator", ORIGINAL, "MIT")]
