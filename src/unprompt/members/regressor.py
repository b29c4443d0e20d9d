"""The regressor: an image model whose vector is its vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from unprompt.images.decode import Picture
from unprompt.models.regressors.picture_encoder import PictureEncoder
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.registry import find_model
from unprompt.prediction import Vote
from unprompt.presets import MemberSpec
from unprompt.progress import Step


class Regressor:
    """Votes with the vectors of a picture encoder; it offers no texts. Raises as `PictureEncoder` does."""

    def __init__(self, folder: ModelFolder, *, name: str, weight: float, threads: int = 0) -> None:
        self.name = name
        self.folder = folder
        self._weight = weight
        self._encoder = PictureEncoder(folder, threads)

    @classmethod
    def of(cls, spec: MemberSpec, threads: int = 0) -> Regressor:
        """The member that a preset describes; its views take the place of those in the model's config.

        Raises UnknownNameError, ModelError: see `find_model`.
        """
        folder = find_model(spec.model)
        folder = replace(folder, config={**folder.config, **spec.options})
        return cls(folder, name=spec.name, weight=spec.weight, threads=threads)

    def identities(self) -> Mapping[str, str]:
        """See `Member`."""
        return {self.folder.name: self.folder.identity()}

    @property
    def shorter_side(self) -> int | None:
        """See `PictureEncoder`."""
        return self._encoder.shorter_side

    def prepare(self, step: Step) -> None:
        """Nothing takes long."""

    def unload(self) -> None:
        """See `Member`. Weights that no device holds stay where they are."""
        self._encoder.unload()

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One vector a picture."""
        return [Vote(self.name, self._weight, vector=vector) for vector in self._encoder.encode(pictures)]
