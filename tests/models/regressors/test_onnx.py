"""Sessions of onnxruntime."""

import os
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from unprompt.errors import ModelError
from unprompt.models.regressors.onnx import folder_session, session, weights_beside
from unprompt.models.regressors.onnx_weights import weight_files
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.models.store.registry import EMBEDDED


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
    with pytest.raises(ModelError, match=r"cannot load .*model\.onnx"):
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


def test_a_session_is_shared_while_it_is_in_use(tmp_path: Path) -> None:
    model = tiny_models.regressor(tmp_path / "linear.tiny")
    with ThreadPoolExecutor(4) as pool:
        held, *others = pool.map(lambda _: folder_session(model, 1), range(4))
    assert all(other is held for other in others)
    assert folder_session(model, 2) is not held
    (model.path / "names.txt").write_text("a cat")
    changed = write_config(model.path, model.config, ["model.onnx", "names.txt"])
    assert folder_session(changed, 1) is not held
    gone = weakref.ref(held)
    del held, others
    assert gone() is None


def kept_apart(path: Path, location: str, *, inside: str) -> None:
    """Moves the weights of a tiny model to another file; they are read at one of the places where ONNX has tensors."""
    import onnx

    model = onnx.load(path)
    (weights,) = model.graph.initializer
    (path.parent / location).write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    if inside == "node":
        node = onnx.helper.make_node("Constant", [], ["weights"], value=weights)
        model.graph.initializer.pop()
        model.graph.node.insert(0, node)
    elif inside == "branch":
        constant = onnx.helper.make_node("Constant", [], ["chosen"], value=weights)
        out = onnx.helper.make_tensor_value_info("chosen", onnx.TensorProto.FLOAT, list(weights.dims))
        branch = onnx.helper.make_graph([constant], "branch", [], [out])
        choice = onnx.helper.make_node("If", ["yes"], ["weights"], then_branch=branch, else_branch=branch)
        model.graph.initializer.pop()
        model.graph.initializer.append(onnx.helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True]))
        model.graph.node.insert(0, choice)
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(path)


@pytest.mark.parametrize("inside", ["graph", "node", "branch"])
def test_no_file_is_read_that_the_config_does_not_name(tmp_path: Path, inside: str) -> None:
    model = tiny_models.regressor(tmp_path / "linear.tiny")
    path = model.path / "model.onnx"
    expected = session(path).run(None, {"pixels": np.ones((1, 3, 32, 32), np.float32)})[0]
    kept_apart(path, "weights.bin", inside=inside)
    assert weight_files(path) == {"weights.bin"}
    model = write_config(model.path, model.config, ["model.onnx"])
    unknown = r"model\.onnx reads weights from weights\.bin, whose size and sha256 nobody says"
    with pytest.raises(ModelError, match=unknown):
        folder_session(model)
    with pytest.raises(ModelError, match=unknown):
        session(path)
    model = write_config(model.path, model.config, ["model.onnx", "weights.bin"])
    found = folder_session(model).run(None, {"pixels": np.ones((1, 3, 32, 32), np.float32)})[0]
    assert np.array_equal(found, expected)
    (model.path / "weights.bin").write_bytes(bytes(10))
    with pytest.raises(ModelError, match=r"weights\.bin has another sha256"):
        folder_session(model)


def test_the_embedded_models_read_what_their_configs_name() -> None:
    found = {}
    for folder in sorted(EMBEDDED.iterdir()):
        if (folder / "model.onnx").is_file():
            found[folder.name] = weight_files(folder / "model.onnx")
            assert found[folder.name] <= ModelFolder.open(folder).config["files"].keys()
    assert {"model.onnx.data"} in found.values()


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
