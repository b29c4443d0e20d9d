"""onnxruntime sessions with the settings that all embedded models share."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

from unprompt.display import printable
from unprompt.errors import ModelError
from unprompt.models.regressors.integers import made_integers
from unprompt.models.regressors.onnx_weights import weight_files
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.image_model import ONNX_WEIGHTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnxruntime

_Given: TypeAlias = "Mapping[str, npt.NDArray[np.int8]]"
_Key: TypeAlias = tuple[Path, str, int]

_in_use: WeakValueDictionary[_Key, onnxruntime.InferenceSession] = WeakValueDictionary()
_opening: dict[_Key, Lock] = {}
_given: WeakKeyDictionary[onnxruntime.InferenceSession, _Given] = WeakKeyDictionary()
"""Weights that a session did not read from a file: it needs them as long as it lives."""


def weights_beside(path: Path) -> Path:
    """The file that holds an ONNX file's large weights, if they are not in that file itself."""
    return path.with_name(f"{path.name}.data")


def folder_session(folder: ModelFolder, threads: int = 0, name: str = ONNX_WEIGHTS) -> onnxruntime.InferenceSession:
    """A session for an ONNX file of a folder, opened after checking the hashes of all files that it reads.

    Where a JSON file of the same name lies beside it, weights are made as that says: see `made_integers`. As long as
    somebody holds one, it is shared: a captioner, a two-tower model and the words of an answer ask for the same models.
    Raises ModelError as `ModelFolder.file` and `session` do.
    """
    key = (folder.path / name, folder.identity(aids=True), threads)
    with _opening.setdefault(key, Lock()):  # of two threads that ask at once, the second waits instead of loading too
        found = _in_use.get(key)
        if found is None:
            found = _in_use[key] = _checked(folder, threads, name)
        return found


def _checked(folder: ModelFolder, threads: int, name: str) -> onnxruntime.InferenceSession:
    path = folder.file(name)
    names = folder.config["files"]
    beside = sorted(names.keys() & {weights_beside(path).name, *_read_beside(path, names)})
    checked = {each: folder.file(each) for each in beside}
    described = path.with_suffix(".json").name
    return _opened(path, threads, made_integers(folder, described, checked) if described in names else {})


def session(path: Path, threads: int = 0, beside: Collection[str] = ()) -> onnxruntime.InferenceSession:
    """Open a CPU session for an ONNX file; `threads` 0 means one per core.

    `beside` names the files of its folder that it may read. Raises ModelError if it reads others, or if onnxruntime
    cannot load it.
    """
    _read_beside(path, beside)
    return _opened(path, threads, {})


def _read_beside(path: Path, known: Collection[str]) -> set[str]:
    """The files that an ONNX file reads weights from. Raises ModelError if one is not known: nobody has checked it."""
    names = weight_files(path)
    if others := sorted(names - set(known)):
        raise ModelError(
            f"{printable(str(path))} reads weights from {printable(', '.join(others))}, whose size and sha256 nobody "
            "says; name them in config.json, or export the model again"
        )
    return names


def _opened(path: Path, threads: int, given: _Given) -> onnxruntime.InferenceSession:
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
    if given:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in given.values()]
        options.add_external_initializers(list(given), values)
    try:
        opened = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class for its errors
        raise ModelError(f"onnxruntime cannot load {path}: {error}") from error
    _given[opened] = given
    return opened
