"""The regressor: an image model that votes with a vector and, if it has a concept head, with what it sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from unprompt.errors import check_extra
from unprompt.images.decode import Picture
from unprompt.images.preprocess import View
from unprompt.members.member import MemberKind, MemberSpec
from unprompt.models.regressors.picture_encoder import PictureEncoder
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.image_model import ONNX_WEIGHTS
from unprompt.models.store.needs import Need, folder_need
from unprompt.models.store.registry import find_model
from unprompt.prediction import Vote
from unprompt.progress import Step


@dataclass(frozen=True, slots=True)
class RegressorOptions:
    """`views` of a picture whose vectors are averaged; default: those that the model's config names."""

    views: tuple[View, ...] | None = None


class Regressor:
    """Votes with what a picture encoder sees, without texts. Raises what `PictureEncoder` raises."""

    def __init__(self, folder: ModelFolder, *, name: str, weight: float, threads: int = 0) -> None:
        self.name = name
        self.folder = folder
        self._weight = weight
        self._encoder = PictureEncoder(folder, threads)

    @classmethod
    def of(cls, spec: MemberSpec[RegressorOptions], threads: int = 0) -> Regressor:
        """Make the member that a preset describes.

        Raises UnknownNameError and ModelError as `find_model` does, MissingExtraError if the model needs torch.
        """
        folder = find_model(spec.model)
        if ONNX_WEIGHTS not in folder.config["files"]:
            check_extra("torch", f"the model {spec.model}")
        if spec.options.views is not None:
            folder = replace(folder, config={**folder.config, "views": list(spec.options.views)})
        return cls(folder, name=spec.name, weight=spec.weight, threads=threads)

    def identities(self) -> Mapping[str, str]:
        return {self.folder.name: self.folder.identity()}

    @property
    def shorter_side(self) -> int | None:
        return self._encoder.shorter_side

    def prepare(self, step: Step) -> None:
        """Nothing to prepare."""

    def unload(self) -> None:
        """Free device memory; weights in main memory stay there."""
        self._encoder.unload()

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """Return one vector per picture, with concepts if the model has a head for them."""
        return [
            Vote(self.name, self._weight, vector=view.vector, concepts=view.concepts)
            for view in self._encoder.see(pictures)
        ]


def needs(spec: MemberSpec[RegressorOptions]) -> list[Need]:
    """Its model folder."""
    return [folder_need(spec.model)]


KIND = MemberKind(Regressor.of, RegressorOptions, needs)
