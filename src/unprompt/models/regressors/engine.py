"""Runs the weights in a regressor's folder: with onnxruntime, or with torch if they were not exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from unprompt.errors import ModelError, needing
from unprompt.models.regressors.onnx import folder_session
from unprompt.models.regressors.seen import Seen
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.image_model import ONNX_WEIGHTS, TORCH_WEIGHTS, concept_names
from unprompt.prediction import EMBEDDING_SIZE

if TYPE_CHECKING:
    import onnxruntime


class Engine(Protocol):
    """Loaded weights, ready to compute vectors."""

    batched: bool
    """True: expects batches, from one thread. False: expects one picture at a time, from many threads."""

    def prepare_thread(self) -> None:
        """Called once in each thread that will call `see`."""

    def see(self, pixels: npt.NDArray[np.float32]) -> Seen:
        """Map pixels (batch, 3, input_size, input_size) to what the model sees; without a concept head, no concepts."""

    def unload(self) -> None:
        """Free device memory; the next `see` loads the weights again. Must not overlap with `see`."""


def open_engine(folder: ModelFolder) -> Engine:
    """Load a folder's weights into the engine that fits them.

    Raises ModelError if the folder has neither kind of weights or damaged ones, MissingExtraError if torch is needed
    but not installed.
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
    """A single-threaded session that many threads may use at once. Raises ModelError for a model of another output."""

    batched = False

    def __init__(self, folder: ModelFolder) -> None:
        self._session: onnxruntime.InferenceSession = folder_session(folder, threads=1)
        outputs: dict[str, Any] = {output.name: output.shape for output in self._session.get_outputs()}
        if outputs.get("vectors", [None])[1:] != [EMBEDDING_SIZE]:
            raise ModelError(
                f"model {folder.name}: expected the output vectors (batch, {EMBEDDING_SIZE}), found {outputs}"
            )
        names = concept_names(folder)
        if (count := outputs.get("concepts", [None, 0])[1]) != len(names):
            raise ModelError(f"model {folder.name}: expected the names of {count} concepts, found {len(names)}")
        self._outputs = ["vectors", "concepts"] if "concepts" in outputs else ["vectors"]

    def prepare_thread(self) -> None:
        """Nothing to do: the session has its own single thread."""

    def see(self, pixels: npt.NDArray[np.float32]) -> Seen:
        """Map pixels (batch, 3, input_size, input_size) to what the model sees."""
        vectors, *concepts = self._session.run(self._outputs, {"pixels": pixels})
        seen = np.asarray(concepts[0], np.float32) if concepts else np.empty((len(vectors), 0), np.float32)
        return Seen(np.asarray(vectors, np.float32), seen)

    def unload(self) -> None:
        """Nothing to do: the weights are in main memory and stay there."""
