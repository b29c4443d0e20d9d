"""A captioner as a member: its sentence is its vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unprompt.captioners.needs import captioner_need
from unprompt.captioners.opening import open_caption_model
from unprompt.captioners.settings import Beams, Bits, CaptionBatch, LeastTokens, MostTokens, Penalty, ShortText
from unprompt.images.decode import Picture
from unprompt.members.member import MemberKind, MemberSpec
from unprompt.models.store.needs import Need
from unprompt.prediction import Vote
from unprompt.progress import Step

if TYPE_CHECKING:
    from unprompt.captioners.captioner import TorchCaptioner


@dataclass(frozen=True, slots=True)
class CaptionerOptions:
    """A folder of `weights`, by default in the hub's cache, and `CaptionSettings` that replace the model's own."""

    weights: str | None = None
    question: ShortText | None = None
    beams: Beams | None = None
    min_length: LeastTokens | None = None
    max_length: MostTokens | None = None
    no_repeat_ngram_size: LeastTokens | None = None
    length_penalty: Penalty | None = None
    suffix: ShortText | None = None
    batch_size: CaptionBatch | None = None
    system: ShortText | None = None
    bits: Bits | None = None

    @property
    def place(self) -> Path | None:
        """The folder of the weights; None for the hub's cache."""
        return None if self.weights is None else Path(self.weights)

    def changes(self) -> dict[str, Any]:
        """The settings that replace the model's own."""
        return {name: value for name, value in asdict(self).items() if name != "weights" and value is not None}


class CaptionerMember:
    """Votes with a captioner's sentences: votes without a vector, and without a text if the caption is empty."""

    def __init__(self, captioner: TorchCaptioner, *, name: str, weight: float) -> None:
        self.name = name
        self.captioner = captioner
        self._weight = weight

    @classmethod
    def of(cls, spec: MemberSpec[CaptionerOptions], threads: int = 0) -> CaptionerMember:
        """Make the member that a preset describes; `threads` is unused. Raises what `open_caption_model` raises."""
        captioner = open_caption_model(spec.model, spec.options.changes(), weights=spec.options.place)
        return cls(captioner, name=spec.name, weight=spec.weight)

    def identities(self) -> Mapping[str, str]:
        return self.captioner.identities()

    @property
    def shorter_side(self) -> int | None:
        return self.captioner.shorter_side

    def prepare(self, step: Step) -> None:
        """Nothing to prepare."""

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """Return one sentence per picture."""
        captions = self.captioner.captions(pictures)
        return [Vote(self.name, self._weight, texts=(caption,) if caption else ()) for caption in captions]

    def unload(self) -> None:
        self.captioner.unload()


def needs(spec: MemberSpec[CaptionerOptions]) -> list[Need]:
    """The captioner's weights."""
    return [captioner_need(spec.model, spec.options.place)]


KIND = MemberKind(CaptionerMember.of, CaptionerOptions, needs, offers_texts=True)
