"""The regressor: an image model whose vector is its vote."""

from __future__ import annotations

from collections.abc import Sequence

from unprompt.images.decode import Picture
from unprompt.models.folder import ModelFolder
from unprompt.models.picture_encoder import PictureEncoder
from unprompt.prediction import Vote


class Regressor:
    """Votes with the vectors of a picture encoder; it offers no texts. Raises as `PictureEncoder` does."""

    def __init__(self, folder: ModelFolder, *, name: str, weight: float, threads: int = 0) -> None:
        self.name = name
        self.folder = folder
        self._weight = weight
        self._encoder = PictureEncoder(folder, threads)

    @property
    def shorter_side(self) -> int | None:
        """See `PictureEncoder`."""
        return self._encoder.shorter_side

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One vector a picture."""
        return [Vote(self.name, self._weight, vector=vector) for vector in self._encoder.encode(pictures)]
