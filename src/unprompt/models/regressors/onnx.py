"""onnxruntime sessions with the settings that all embedded models share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.image_model import ONNX_WEIGHTS

if TYPE_CHECKING:
    import onnxruntime


def weights_beside(path: Path) -> Path:
    """The file that holds an ONNX file's large weights, if they are not in that file itself."""
    return path.with_name(f"{path.name}.data")


def folder_session(folder: ModelFolder, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open a session for `model.onnx` of a folder, after checking the hashes of all its files.

    Raises ModelError as `ModelFolder.file` and `session` do.
    """
    path = folder.file(ONNX_WEIGHTS)
    if weights_beside(path).name in folder.config["files"]:
        folder.file(weights_beside(path).name)
    return session(path, threads)


def session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open a CPU session for an ONNX file; `threads` 0 means one per core.

    Raises ModelError if onnxruntime cannot load the file.
    """
    # Its builds send telemetry to Microsoft, and the import alone writes a device ID into the cache folder.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # takes 0.2 s, so only if needed

    onnxruntime.disable_telemetry_events()  # in case it was already imported
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that wait by spinning would take the cores from threads that decode pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in 8 bits become float32 matrices once, here, instead of anew at each run.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class for its errors
        raise ModelError(f"onnxruntime cannot load {path}: {error}") from error
