"""The regressor: from pixels to the prompt's vector in one step, with onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from unprompt.errors import ModelError
from unprompt.images.decode import Picture
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.models.folder import ModelFolder
from unprompt.models.onnx import session
from unprompt.prediction import EMBEDDING_SIZE, Vote

if TYPE_CHECKING:
    import onnxruntime


class Regressor:
    """An image model whose answer is a unit vector (384,); it offers no texts.

    Raises ModelError where the folder has no preprocessing; and at the first vote, which loads the weights, where these
    are damaged or answer in another shape.
    """

    def __init__(self, folder: ModelFolder, *, name: str, weight: float, threads: int = 0) -> None:
        self.name = name
        self.folder = folder
        self._weight = weight
        self._threads = threads
        self._preprocessing = _preprocessing_of(folder)

    @property
    def shorter_side(self) -> int:
        """The side of the square that the model sees, in pixels."""
        return self._preprocessing.input_size

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One vector a picture; all of them go through the model at once."""
        pixels = np.stack([preprocess(picture.pixels, self._preprocessing) for picture in pictures])
        (vectors,) = self._session.run(["vectors"], {"pixels": pixels})  # (batch, 384)
        return [Vote(self.name, self._weight, vector=np.array(vector, np.float32)) for vector in vectors]

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        loaded = session(self.folder.file("model.onnx"), self._threads)
        outputs = {output.name: output.shape for output in loaded.get_outputs()}
        if outputs.get("vectors", [None])[1:] != [EMBEDDING_SIZE]:
            raise ModelError(
                f"model {self.folder.name}: expected the output vectors (batch, {EMBEDDING_SIZE}), found {outputs}"
            )
        return loaded


def _preprocessing_of(folder: ModelFolder) -> Preprocessing:
    rules = folder.config.get("preprocessing")
    if not isinstance(rules, dict):
        raise ModelError(f"model {folder.name}: expected an image model, found a config without preprocessing")
    return Preprocessing.from_config(rules)
