"""What the members of a preset need on the disk, as far as it can be told without loading anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unprompt.answer.codebook import check_codebook
from unprompt.bank.bank import Bank
from unprompt.bank.index import CONFIG as INDEX_CONFIG
from unprompt.bank.index import FOLDER as INDEX_FOLDER
from unprompt.bank.index import Index
from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.interrogation.captions import EMBEDDED, is_model
from unprompt.interrogation.captions import MODELS as CAPTION_MODELS
from unprompt.models.store.folder import CONFIG
from unprompt.models.store.needed_files import (
    Need,
    NeededFile,
    captioner_need,
    file_need,
    folder_need,
    hub_need,
    package_need,
    towers_need,
)
from unprompt.models.store.published_models import published_models
from unprompt.models.store.registry import SENTENCE_ENCODER, find_model
from unprompt.models.store.weights import HUB
from unprompt.presets import CAPTIONER, INTERROGATOR, NEIGHBOURS, REGRESSOR, MemberSpec, Preset
from unprompt.towers.embedded import NAME as EMBEDDED_PAIR
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


def bank_need(folder: Path, model: str, *, approximate: bool = False) -> Need:
    """A bank that a two-tower model is asked with. One that is half built, cut short or empty is not here.

    Where it is searched approximately, it needs a sound index, which is a file of its own where it lacks only that.
    """
    name, way = f"bank {folder}", f"make it with 'unprompt bank build PROMPTS --clip {model} -o {folder}'"
    if not folder.exists():
        return file_need(name, folder, way)
    try:
        bank = Bank.open(folder)
    except DataError as error:
        return Need(name, (NeededFile(folder.name, folder, here=False),), way, fault=error)
    need = file_need(name, folder, way)
    if approximate:
        try:
            Index.open(bank)
        except DataError as error:
            index = Path(INDEX_FOLDER, INDEX_CONFIG)
            lacking = NeededFile(index.as_posix(), folder / index, here=False)
            return replace(need, files=(*need.files, lacking), fault=error)
    return need


def published_need(name: str) -> Need:
    """A model that somebody published, by its name alone.

    Raises UnknownNameError, with the nearest known one, for a name that neither we nor open_clip know; the latter is
    asked for names like ViT-B-16.laion2b_s34b_b88k, and MissingExtraError is raised where it is not installed.
    """
    known = published_models()
    if name in known:
        return hub_need(known[name]) if known[name].repository else folder_need(name)
    if "." not in name and "/" not in name:
        raise UnknownNameError("published model", name, [tag for tag in known if tag.startswith(f"{name}.")] or known)
    return towers_need(name, HUB)


def wording_needs(preset: Preset) -> list[Need]:
    """What every answer needs: the sentence encoder and, where the preset has one, the decoder."""
    wording = preset.wording
    return [folder_need(SENTENCE_ENCODER), *([] if wording is None else [folder_need(wording.decoder)])]


def codebook_needs(preset: Preset) -> list[Need]:
    """What the vector of every prediction needs, where the preset has a codebook."""
    if preset.codebook is None:
        return []
    need = folder_need(name := preset.codebook.model)
    if need.is_here:
        folder = find_model(name)
        try:
            check_codebook(folder)
        except ModelError as error:
            return [replace(need, files=(NeededFile(CONFIG, folder.path / CONFIG, here=False),), fault=error)]
    return [need]


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
