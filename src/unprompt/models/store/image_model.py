"""Model folders of image models: the names of their weights' files, and their preprocessing."""

from __future__ import annotations

from collections.abc import Sequence

from unprompt.errors import ModelError
from unprompt.images.preprocess import Preprocessing
from unprompt.models.store.folder import ModelFolder

ONNX_WEIGHTS, TORCH_WEIGHTS = "model.onnx", "model.safetensors"
CONCEPTS = "concepts.txt"
"""The names of the concepts that a model sees, one a line, in the order of its output."""


def concept_names(folder: ModelFolder) -> Sequence[str]:
    """Read the names of the concepts that a folder's model sees; none if it sees none. Raises ModelError if damaged."""
    if CONCEPTS not in folder.config["files"]:
        return ()
    try:
        return folder.file(CONCEPTS).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ModelError(f"model {folder.name}: expected names in {CONCEPTS}, one a line: {error}") from error


def preprocessing_of(folder: ModelFolder) -> Preprocessing:
    """Read the preprocessing in a folder's config. Raises ModelError if there is none."""
    rules = folder.config.get("preprocessing")
    if not isinstance(rules, dict):
        raise ModelError(f"model {folder.name}: expected an image model, found a config without preprocessing")
    return Preprocessing.from_config(rules)
