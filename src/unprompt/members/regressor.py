"""The regressor: from pixels to the prompt's vector in one step, with onnxruntime."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from unprompt.errors import ModelError
from unprompt.images.decode import Picture
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.models.folder import ModelFolder
from unprompt.models.onnx import core_count, session
from unprompt.prediction import EMBEDDING_SIZE, Vote

if TYPE_CHECKING:
    import onnxruntime


class Regressor:
    """An image model whose answer is a unit vector (384,); it offers no texts.

    Each picture goes through the model alone and on one core, several at a time: an answer is the same to the bit
    whatever the batch and the number of threads, and no thread waits for another in the middle of the model.

    Raises ModelError where the folder has no preprocessing; and at the first vote, which loads the weights, where these
    are damaged or answer in another shape.
    """

    def __init__(self, folder: ModelFolder, *, name: str, weight: float, threads: int = 0) -> None:
        self.name = name
        self.folder = folder
        self._weight = weight
        self._threads = threads or core_count()
        self._preprocessing = _preprocessing_of(folder)
        self._loading = threading.Lock()

    @property
    def shorter_side(self) -> int:
        """The side of the square that the model sees, in pixels.

        No more is asked for: ours learnt from pictures of 256 pixels, and larger ones that are first reduced to about
        that score the same (0.4944, and 0.4942 whole, on 400 of the validation pictures enlarged four times).
        """
        return self._preprocessing.input_size

    def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
        """One vector a picture."""
        with self._loading:
            workers = self._workers
        return list(workers.map(self._vote, pictures))

    def _vote(self, picture: Picture) -> Vote:
        pixels = preprocess(picture.pixels, self._preprocessing)[None]  # (1, 3, input_size, input_size)
        ((vector,),) = self._session.run(["vectors"], {"pixels": pixels})
        return Vote(self.name, self._weight, vector=np.array(vector, np.float32))

    @cached_property
    def _workers(self) -> ThreadPoolExecutor:
        _ = self._session  # loaded here, and not by all of them at the same time
        return ThreadPoolExecutor(self._threads, thread_name_prefix=f"unprompt-{self.name}")

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        loaded = session(self.folder.file("model.onnx"), threads=1)
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
