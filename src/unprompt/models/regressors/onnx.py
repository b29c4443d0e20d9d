"""onnxruntime sessions with the settings that all embedded models share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from unprompt.errors import ModelError

if TYPE_CHECKING:
    import onnxruntime


def session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """A CPU session for an ONNX file; `threads` 0 means one a core.

    Raises ModelError where onnxruntime cannot load the file.
    """
    # Its builds report to Microsoft, and the import alone writes a device's number into the cache folder.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # 0.2 s: only who predicts pays for it

    onnxruntime.disable_telemetry_events()  # where somebody imported it before us
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads that spin would take the cores from those that decode pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises plain subclasses of Exception, one a status code
        raise ModelError(f"onnxruntime cannot load {path}: {error}") from error
