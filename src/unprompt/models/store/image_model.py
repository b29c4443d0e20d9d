"""Model folders of image models: the files of their weights, and the preprocessing that travels with these."""

from __future__ import annotations

from unprompt.errors import ModelError
from unprompt.images.preprocess import Preprocessing
from unprompt.models.store.folder import ModelFolder

ONNX_WEIGHTS, TORCH_WEIGHTS = "model.onnx", "model.safetensors"


def preprocessing_of(folder: ModelFolder) -> Preprocessing:
    """How the model of a folder wants to see pictures. Raises ModelError where its config does not say."""
    rules = folder.config.get("preprocessing")
    if not isinstance(rules, dict):
        raise ModelError(f"model {folder.name}: expected an image model, found a config without preprocessing")
    return Preprocessing.from_config(rules)
