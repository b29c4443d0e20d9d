"""Sessions of onnxruntime."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from unprompt.errors import ModelError
from unprompt.models.regressors.onnx import folder_session, session, weights_beside
from unprompt.models.store.folder import write_config


def test_a_session_computes(tmp_path: Path) -> None:
    model = tiny_models.regressor(tmp_path / "linear.tiny")
    pixels = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    one, two = (session(model.file("model.onnx"), threads).run(None, {"pixels": pixels})[0] for threads in (1, 2))
    assert one.shape == (2, 384)
    assert np.allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("kept", [0, 10, -1000])
def test_a_broken_file(tmp_path: Path, kept: int) -> None:
    path = tiny_models.regressor(tmp_path / "linear.tiny").file("model.onnx")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"onnxruntime cannot load .*model\.onnx"):
        session(path)


def test_another_kind_of_file_and_none(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(ModelError, match="cannot load"):
        session(path)
    path.write_text("<html>not found</html>")
    with pytest.raises(ModelError, match="cannot load"):
        session(path)


def test_weights_in_a_file_of_their_own_are_checked(tmp_path: Path) -> None:
    model = tiny_models.regressor(tmp_path / "linear.tiny")
    beside = weights_beside(model.file("model.onnx"))
    beside.write_bytes(b"weights")
    model = write_config(model.path, model.config, ["model.onnx", beside.name])
    folder_session(model)
    beside.write_bytes(b"another")
    with pytest.raises(ModelError, match=r"model\.onnx\.data has another sha256"):
        folder_session(model)
    beside.unlink()
    with pytest.raises(ModelError, match=r"model\.onnx\.data is missing"):
        folder_session(model)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cache folder is not found by XDG_CACHE_HOME")
def test_onnxruntime_keeps_and_sends_no_record_of_the_device(tmp_path: Path) -> None:
    model = tiny_models.regressor(tmp_path / "linear.tiny").file("model.onnx")
    (tmp_path / "cache").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", f"from unprompt.models.regressors.onnx import *; session(Path({str(model)!r}))"],
        env={**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        check=True,
    )
    assert list((tmp_path / "cache").rglob("*")) == []
