"""What a preset needs on the disk."""

from __future__ import annotations

from dataclasses import replace

from unprompt.answer.codebook import check_codebook
from unprompt.errors import ModelError
from unprompt.members.kinds import needs_of
from unprompt.models.store.folder import CONFIG
from unprompt.models.store.needs import Need, NeededFile, folder_need
from unprompt.models.store.registry import SENTENCE_ENCODER, find_model
from unprompt.presets import Preset


def preset_needs(preset: Preset) -> list[Need]:
    """All that a preset needs. Raises as `needs_of` does."""
    members = [need for spec in preset.members for need in needs_of(spec)]
    return [*members, *codebook_needs(preset), *wording_needs(preset)]


def wording_needs(preset: Preset) -> list[Need]:
    """What every answer needs: the sentence encoder and, where the preset has one, the decoder."""
    wording = preset.wording
    return [folder_need(SENTENCE_ENCODER), *([] if wording is None else [folder_need(wording.decoder)])]


def codebook_needs(preset: Preset) -> list[Need]:
    """What the vector of every prediction needs and its confidence, where the preset has codebooks."""
    drawing = [] if preset.codebook is None else [preset.codebook.model]
    looked_at = [] if preset.confidence is None else [preset.confidence.codebook]
    return [_codebook_need(name) for name in dict.fromkeys([*drawing, *looked_at])]


def _codebook_need(name: str) -> Need:
    need = folder_need(name)
    if need.is_here:
        folder = find_model(name)
        try:
            check_codebook(folder)
        except ModelError as error:
            return replace(need, files=(NeededFile(CONFIG, folder.path / CONFIG, here=False),), fault=error)
    return need
