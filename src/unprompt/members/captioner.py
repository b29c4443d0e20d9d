"""A captioner as a member: its sentence is its vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unprompt.captioners.opening import open_caption_model
from unprompt.images.decode import Picture
from unprompt.prediction import Vote
from unprompt.presets import MemberSpec
from unprompt.progress import Step

if TYPE_CHECKING:
    from unprompt.captioners.captioner import TorchCaptioner


class CaptionerMember:
    """Votes with a captioner's sentences; what it gives has no vector yet, nor a text where it finds no words."""

    def __init__(self, captioner: TorchCaptioner, *, name: str, weight: float) -> None:
        self.name = name
        self.captioner = captioner
        self._weight = weight

    @classmethod
    def of(cls, spec: MemberSpec, threads: int = 0) -> CaptionerMember:
        """The member that a preset describes; torch has threads of its own. Raises as `open_caption_model` does."""
        changes = dict(spec.options)
        weights = changes.pop("weights", None)
        captioner = open_caption_model(spec.model, changes, weights=None if weights is None else Path(weights))
        return cls(captioner, name=spec.name, weight=spec.weight)

    def identities(self) -> Mapping[str, str]:
        """See `Member`."""
        return self.captioner.identities()

    @property
    def shorter_side(self) -> int | None:
        """See `Member`."""
        return self.captioner.shorter_side

    def prepare(self, step: Step) -> None:
        """Nothing takes long."""

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One sentence a picture."""
        captions = self.captioner.captions(pictures)
        return [Vote(self.name, self._weight, texts=(caption,) if caption else ()) for caption in captions]

    def unload(self) -> None:
        """See `Member`."""
        self.captioner.unload()
