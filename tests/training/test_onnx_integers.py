"""Products in 8-bit integers: near what the floats give, smaller, and the same for a picture in any company."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from unprompt.errors import DataError  # noqa: E402
from unprompt.models.regressors.onnx import session  # noqa: E402
from unprompt.models.store.folder import ModelFolder  # noqa: E402
from unprompt.text.decoder import Decoder  # noqa: E402
from unprompt.text.sentence import SentenceEncoder  # noqa: E402
from unprompt.training.onnx_export import export_onnx, pack_weights  # noqa: E402
from unprompt.training.onnx_integers import compute_in_integers  # noqa: E402
from unprompt.training.run import export_model  # noqa: E402

pytestmark = pytest.mark.torch


class Uneven(torch.nn.Module):
    """A network whose hidden numbers are a hundred times larger in one column than in the others."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Linear(64, 96), torch.nn.Linear(96, 64, bias=False)
        with torch.no_grad():
            self.first.weight[7] *= 100
            self.last.weight[:, 7] /= 100

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Maps (batch, 64) to (batch, 64)."""
        return self.last(self.first(given).relu())


class Tied(torch.nn.Module):
    """A table whose rows are looked up, and that scores all rows, as at both ends of a decoder."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(300, 32)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Maps ids (batch,) to scores (batch, 300)."""
        return self.table(ids) @ self.table.weight.T


def _exported(model: torch.nn.Module, path: Path, name: str, example: torch.Tensor) -> Path:
    export_onnx(model, {name: example}, ["out"], {name: {0: "batch"}}, path)
    return path


def _operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def _error(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def test_smoothing_spares_the_small_columns(tmp_path: Path) -> None:
    model, given = Uneven().eval(), torch.randn(40, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        true = model(given).numpy()
    errors = {}
    for smoothing in (0.0, 0.75):
        path = _exported(model, tmp_path / f"{smoothing}.onnx", "given", given[:2])
        compute_in_integers(path, [{"given": given.numpy()}], smoothing=smoothing)
        pack_weights(path, eight_bits=True)
        assert _operators(path).count("DynamicQuantizeMatMul") == 2
        assert not {"MatMul", "Gemm"} & set(_operators(path))
        assert sorted(each.name for each in tmp_path.iterdir() if "looking" in each.name) == []
        errors[smoothing] = _error(session(path, 1).run(None, {"given": given.numpy()})[0], true)
    assert errors[0.75] < 0.03
    assert errors[0.75] < errors[0.0] / 2


def test_a_table_is_stored_once(tmp_path: Path) -> None:
    model, ids = Tied().eval(), torch.arange(0, 300, 7)
    path = _exported(model, tmp_path / "tied.onnx", "ids", ids[:2])
    compute_in_integers(path)
    pack_weights(path, eight_bits=True)
    assert path.stat().st_size < 300 * 32 * 1.5 + 4000
    with torch.inference_mode():
        true = model(ids).numpy()
    assert _error(session(path, 1).run(None, {"ids": ids.numpy()})[0], true) < 0.03


def test_a_run_s_regressor(regressor_run: Path, tmp_path: Path) -> None:
    floats = export_model(str(regressor_run), tmp_path / "floats")
    integers = export_model(str(regressor_run), tmp_path / "integers", integers=True)
    pixels = np.random.default_rng(0).standard_normal((3, 1, 3, 160, 160)).astype(np.float32)
    runs = [session(folder.file("model.onnx"), 1) for folder in (floats, integers)]
    before, after = ([run.run(["vectors"], {"pixels": each})[0][0] for each in pixels] for run in runs)
    assert min(float(a @ b) for a, b in zip(before, after, strict=True)) > 0.99
    assert not np.array_equal(before, after)


def test_a_run_s_decoder(decoder_run: Path, tmp_path: Path) -> None:
    decoder = Decoder(export_model(str(decoder_run), tmp_path / "integers", integers=True))
    (vector,) = SentenceEncoder.embedded().encode(["a red cat"])
    sentences = decoder.sentences(vector, 3)
    assert sentences
    assert sentences == decoder.sentences(vector, 3)


def test_without_its_pictures_a_run_is_not_exported_in_integers(regressor_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(regressor_run, run)
    recipe = json.loads((run / "recipe.json").read_text())
    recipe["data"]["train"] = str(tmp_path / "gone.jsonl")
    (run / "recipe.json").write_text(json.dumps(recipe))
    with pytest.raises(DataError, match=r"gone\.jsonl"):
        export_model(str(run), tmp_path / "model", integers=True)
    assert not (tmp_path / "model").exists()
    assert isinstance(export_model(str(run), tmp_path / "model"), ModelFolder)
