"""The interrogator as a member: its text is its vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unprompt.captioners.needs import captioner_need
from unprompt.errors import DataError
from unprompt.images.decode import Picture
from unprompt.interrogation.captions import EMBEDDED, MODELS, is_model, open_captioner
from unprompt.interrogation.interrogation import Settings
from unprompt.interrogation.interrogator import Interrogator
from unprompt.members.member import MemberKind, MemberSpec
from unprompt.members.tagger import TaggerOptions, read_tagger, tag_words
from unprompt.members.tagger import needs as tagger_needs
from unprompt.models.store.needs import Need, folder_need, package_need
from unprompt.models.store.weights import HUB
from unprompt.prediction import Vote
from unprompt.progress import Step
from unprompt.towers.needs import towers_needs
from unprompt.towers.opening import open_towers
from unprompt.vocabulary.original import NAME as ORIGINAL
from unprompt.vocabulary.tables import default_cache
from unprompt.vocabulary.vocabulary import UNPROMPT, load_vocabulary


@dataclass(frozen=True, slots=True)
class InterrogatorOptions(Settings):
    """The settings of an interrogation, and the arguments of `Interrogator.from_pretrained`.

    `cache` is the folder for the vectors of the vocabulary's lists. `tags` is a tagger, {model = NAME, ...} with the
    options of the member `tagger`; its tags are words for the chains of mode "best".
    """

    weights: str = HUB
    caption: str = EMBEDDED
    vocabulary: tuple[str, ...] = (UNPROMPT,)
    without: tuple[str, ...] = ()
    exclude: str | None = None
    cache: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.tagger is not None and self.mode != "best":
            raise DataError(f'tags are words for mode = "best", found {self.mode!r}; leave one of the two out')

    @property
    def tagger(self) -> MemberSpec[TaggerOptions] | None:
        """The tagger whose tags are words; None without one. Raises as reading a preset does."""
        return read_tagger(self.tags, "tags") if self.tags else None


class InterrogatorMember:
    """Votes with the texts of an interrogator and the terms in them: votes without a vector."""

    def __init__(self, interrogator: Interrogator, settings: Settings, *, name: str, weight: float) -> None:
        self.name = name
        self.interrogator = interrogator
        self.settings = settings
        self._weight = weight

    @classmethod
    def of(cls, spec: MemberSpec[InterrogatorOptions], threads: int = 0) -> InterrogatorMember:
        """Make the member that a preset describes. Raises what `Interrogator.from_pretrained` raises."""
        options = spec.options
        interrogator = Interrogator(
            open_towers(spec.model, weights=options.weights, threads=threads),
            load_vocabulary(options.vocabulary, without=options.without, exclude=options.exclude),
            open_captioner(options.caption, threads),
            default_cache() if options.cache is None else Path(options.cache),
            None if options.tagger is None else tag_words(options.tagger, threads),
        )
        return cls(interrogator, options, name=spec.name, weight=spec.weight)

    def identities(self) -> Mapping[str, str]:
        return self.interrogator.identities()

    @property
    def shorter_side(self) -> int | None:
        return self.interrogator.shorter_side

    def prepare(self, step: Step) -> None:
        """Compute the vectors of the lists that the mode uses."""
        self.interrogator.prepare(step, self.settings)

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """Return one text per picture."""
        return [
            Vote(
                self.name,
                self._weight,
                texts=(answer.text,),
                terms=answer.terms,
                text_similarity=answer.similarity,
                negative_prompt=answer.negative_prompt,
            )
            for answer in self.interrogator.interrogate_pictures(pictures, self.settings)
        ]

    def unload(self) -> None:
        self.interrogator.captioner.unload()
        self.interrogator.towers.unload()


def needs(spec: MemberSpec[InterrogatorOptions]) -> list[Need]:
    """The two-tower model, the captioner, and the package with the original lists if they are used."""
    lists = [package_need("clip_interrogator", ORIGINAL, "MIT")] if ORIGINAL in spec.options.vocabulary else []
    tagger = [] if spec.options.tagger is None else tagger_needs(spec.options.tagger)
    return [*towers_needs(spec.model, spec.options.weights), *_caption_needs(spec.options.caption), *tagger, *lists]


def _caption_needs(caption: str) -> list[Need]:
    if caption == EMBEDDED:
        return [folder_need(name) for name in MODELS]
    return [captioner_need(caption)] if is_model(caption) else []


KIND = MemberKind(InterrogatorMember.of, InterrogatorOptions, needs, offers_texts=True)
