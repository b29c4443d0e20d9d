"""Torch model folders as ONNX: through the member they answer as before, and what does not is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unprompt.errors import ModelError

torch = pytest.importorskip("torch")

from unprompt.images.decode import Picture, decode  # noqa: E402
from unprompt.images.files import LocalFile  # noqa: E402
from unprompt.images.ref import ImageRef  # noqa: E402
from unprompt.members.regressor import Regressor  # noqa: E402
from unprompt.models.store.folder import ModelFolder  # noqa: E402
from unprompt.training import folder_export, onnx_export  # noqa: E402
from unprompt.training.folder_export import export_folder, is_torch_folder  # noqa: E402
from unprompt.training.run import export_model  # noqa: E402

pytestmark = pytest.mark.torch


def _vote(folder: ModelFolder, picture: Picture) -> np.ndarray:
    (vote,) = Regressor(folder, name="a", weight=1.0, threads=1).vote([picture])
    assert vote.vector is not None
    return vote.vector


def test_a_trained_folder_and_its_export_see_alike(regressor_run: Path, examples: Path, tmp_path: Path) -> None:
    best = regressor_run / "best"
    assert is_torch_folder(str(best))
    exported = export_folder(best, tmp_path / "onnx")
    assert not is_torch_folder(str(exported.path))
    assert (exported.path / "README.md").read_text() == (best / "README.md").read_text()
    path = str(examples / "coffee.jpg")
    picture = decode(ImageRef(path, LocalFile(path)), read_metadata=False)
    assert isinstance(picture, Picture)
    assert _vote(exported, picture) @ _vote(ModelFolder.open(best), picture) > 0.9999


def test_what_no_file_can_hold_is_refused(regressor_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST_MB", 1)
    with pytest.raises(ModelError, match="MB of weights, an ONNX file holds 1; run it with torch"):
        export_folder(regressor_run / "best", tmp_path / "onnx")
    with pytest.raises(ModelError, match="MB of weights, an ONNX file holds 1; run it with torch"):
        export_model(str(regressor_run), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_what_answers_otherwise_is_refused(
    regressor_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_export, "LEAST_AGREEMENT", 1.1)
    with pytest.raises(ModelError, match="gives other vectors: mean cosine"):
        export_folder(regressor_run / "best", tmp_path / "onnx")
    assert not (tmp_path / "onnx" / "model.onnx").exists()
