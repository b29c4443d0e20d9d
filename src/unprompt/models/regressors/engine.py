"""What runs the weights of a regressor's folder: onnxruntime, or torch where they were not exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from unprompt.errors import ModelError, needing
from unprompt.models.regressors.onnx import session
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.image_model import ONNX_WEIGHTS, TORCH_WEIGHTS
from unprompt.prediction import EMBEDDING_SIZE, Vector

if TYPE_CHECKING:
    import onnxruntime


class Engine(Protocol):
    """Weights that are loaded."""

    batched: bool
    """Whether it wants many pictures at once, from one thread; if not, a picture at a time, from as many as there are.
    """

    def prepare_thread(self) -> None:
        """Called once in each thread that will ask for vectors."""

    def vectors(self, pixels: npt.NDArray[np.float32]) -> Vector:
        """pixels (batch, 3, input_size, input_size); returns unit vectors (batch, 384)."""

    def unload(self) -> None:
        """Makes what room it can on the device; the next pixels take it again. Not while some are computed."""


def open_engine(folder: ModelFolder) -> Engine:
    """The engine for a folder's weights, which it loads.

    Raises ModelError where the folder has neither kind of weights or damaged ones, MissingExtraError where torch is
    needed and not installed.
    """
    if ONNX_WEIGHTS in folder.config["files"]:
        return OnnxEngine(folder)
    if TORCH_WEIGHTS not in folder.config["files"]:
        raise ModelError(
            f"model {folder.name}: expected an image model with {ONNX_WEIGHTS} or {TORCH_WEIGHTS}, found "
            f"{', '.join(folder.config['files']) or 'no files'}"
        )
    with needing("torch", f"the model {folder.name}, which was not exported to ONNX,"):
        from unprompt.models.regressors.torch_engine import TorchEngine
    return TorchEngine(folder)


class OnnxEngine:
    """A session of one thread, which many may use at the same time. Raises ModelError for another output."""

    batched = False

    def __init__(self, folder: ModelFolder) -> None:
        self._session: onnxruntime.InferenceSession = session(folder.file(ONNX_WEIGHTS), threads=1)
        outputs: dict[str, Any] = {output.name: output.shape for output in self._session.get_outputs()}
        if outputs.get("vectors", [None])[1:] != [EMBEDDING_SIZE]:
            raise ModelError(
                f"model {folder.name}: expected the output vectors (batch, {EMBEDDING_SIZE}), found {outputs}"
            )

    def prepare_thread(self) -> None:
        """Its session has one thread whatever the caller's has."""

    def vectors(self, pixels: npt.NDArray[np.float32]) -> Vector:
        """See `Engine`."""
        (vectors,) = self._session.run(["vectors"], {"pixels": pixels})
        return np.asarray(vectors, np.float32)

    def unload(self) -> None:
        """It is in main memory, and stays."""
