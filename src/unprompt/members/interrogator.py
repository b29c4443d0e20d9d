"""The interrogator as a member: its text is its vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from unprompt.images.decode import Picture
from unprompt.interrogation.captions import EMBEDDED, open_captioner
from unprompt.interrogation.interrogation import Settings
from unprompt.interrogation.interrogator import Interrogator
from unprompt.models.store.weights import HUB
from unprompt.prediction import Vote
from unprompt.presets import MemberSpec
from unprompt.progress import Step
from unprompt.towers.opening import open_towers
from unprompt.vocabulary.tables import default_cache
from unprompt.vocabulary.vocabulary import load_vocabulary

_SETTINGS = tuple(field.name for field in fields(Settings))


class InterrogatorMember:
    """Votes with the texts of an interrogator, and with the terms in them; what it gives has no vector yet."""

    def __init__(self, interrogator: Interrogator, settings: Settings, *, name: str, weight: float) -> None:
        self.name = name
        self.interrogator = interrogator
        self.settings = settings
        self._weight = weight

    @classmethod
    def of(cls, spec: MemberSpec, threads: int = 0) -> InterrogatorMember:
        """The member that a preset describes. Raises as `Interrogator.from_pretrained` and `Settings` do."""
        options = spec.options
        interrogator = Interrogator(
            open_towers(spec.model, weights=options.get("weights", HUB), threads=threads),
            load_vocabulary(
                options.get("vocabulary", ("unprompt",)),
                without=options.get("without", ()),
                exclude=options.get("exclude"),
            ),
            open_captioner(options.get("caption", EMBEDDED), threads),
            Path(options["cache"]) if "cache" in options else default_cache(),
        )
        settings = Settings(**{key: value for key, value in options.items() if key in _SETTINGS})
        return cls(interrogator, settings, name=spec.name, weight=spec.weight)

    def identities(self) -> Mapping[str, str]:
        """See `Member`."""
        return self.interrogator.identities()

    @property
    def shorter_side(self) -> int | None:
        """See `Member`."""
        return self.interrogator.shorter_side

    def prepare(self, step: Step) -> None:
        """The vectors of all lists, where the mode needs them."""
        if self.settings.mode != "caption" or self.settings.negative:
            self.interrogator.prepare(step)

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One text a picture."""
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
        """See `Member`."""
        self.interrogator.captioner.unload()
        self.interrogator.towers.unload()
