"""Exports: what onnxruntime computes from them is what torch computed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from unprompt.errors import DataError, ModelError
from unprompt.images.preprocess import Preprocessing
from unprompt.models.regressors.onnx import session, weights_beside
from unprompt.models.store.folder import ModelFolder
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.tokenizers import MERGES, count_clip_tokens, load_clip_tokenizer

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from safetensors.torch import load_file  # noqa: E402

from unprompt.models.networks.torchvision_cure import cure_torchvision  # noqa: E402
from unprompt.models.store.registry import find_model  # noqa: E402
from unprompt.training import export  # noqa: E402
from unprompt.training.decoder_network import SentenceDecoder  # noqa: E402
from unprompt.training.export import trained_network  # noqa: E402
from unprompt.training.loop import BEST  # noqa: E402
from unprompt.training.onnx_export import SMALLEST_PACKED, export_onnx, pack_weights  # noqa: E402
from unprompt.training.recipe_file import recipe_of_run  # noqa: E402
from unprompt.training.run import export_model, train_recipe  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def regressor(regressor_run: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return export_model(str(regressor_run), tmp_path_factory.mktemp("models") / "regressor")


@pytest.fixture(scope="module")
def decoder(decoder_run: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return export_model(str(decoder_run), tmp_path_factory.mktemp("models") / "decoder")


def _torch_decoder(run: Path) -> SentenceDecoder:
    weights = load_file(run / BEST)
    size = len(weights["tokens.weight"])
    model = SentenceDecoder(vocabulary_size=size, max_length=24, width=32, depth=2, heads=2)
    model.load_state_dict(weights)
    return model.eval()


def test_the_regressor(regressor: ModelFolder, regressor_run: Path) -> None:
    model, _ = trained_network(recipe_of_run(regressor_run), regressor_run / BEST)
    run = session(regressor.file("model.onnx"), 1)
    for batch in (1, 5):
        pixels = torch.randn(batch, 3, 160, 160, generator=torch.Generator().manual_seed(batch))
        with torch.inference_mode():
            expected = model.eval()(pixels).numpy()
        (found,) = run.run(["vectors"], {"pixels": pixels.numpy()})
        assert found.shape == (batch, 384)
        assert np.abs(found - expected).max() <= 2e-3
        assert (found * expected).sum(axis=1).min() > 0.9999


def test_the_decoder(decoder: ModelFolder, decoder_run: Path) -> None:
    model = _torch_decoder(decoder_run)
    run = session(decoder.file("model.onnx"), 1)
    vector = SentenceEncoder.embedded().encode(["a red cat", "a moon over a river, oil painting"])
    tokens = torch.randint(2, 300, (2, 24), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = model(tokens, torch.from_numpy(vector))[0]
        logits[..., 0] = -1e4  # a sentence starts once
    expected = logits.log_softmax(-1).numpy()
    past = np.zeros((2, 2, 2, 2, 0, 16), np.float32)
    for at in range(24):
        inputs = {"tokens": tokens[:, at : at + 1].numpy(), "vector": vector, "past": past}
        likeliest, found, past = run.run(["likeliest", "log_probabilities", "present"], inputs)
        assert found.shape == (2, export.CHOICES)
        assert (np.diff(found, axis=1) <= 0).all()
        assert 0 not in likeliest
        # Eight bits a weight: probabilities, which the search ranks by, stay where they were.
        true = np.take_along_axis(expected[:, at], likeliest, axis=1)
        assert np.abs(np.exp(found) - np.exp(true)).max() <= 5e-3


def test_a_decoder_with_sight(seeing_decoder_run: Path, tmp_path: Path) -> None:
    seeing = Decoder(export_model(str(seeing_decoder_run), tmp_path / "seeing"))
    names = (seeing_decoder_run / "concepts.txt").read_text().splitlines()
    assert list(seeing.concepts) == names
    assert seeing.phrases is not None
    assert set(names) <= set(seeing.phrases.texts)
    (vector,) = SentenceEncoder.embedded().encode(["a red cat"])
    blind, unknown = seeing.sentences(vector, 3), seeing.sentences(vector, 3, concepts={"no such concept": 1.0})
    assert blind == unknown
    assert seeing.sentences(vector, 3, concepts=dict.fromkeys(names, 1.0), style="sentence") != blind


def test_without_packing_nothing_is_lost(decoder_run: Path, tmp_path: Path) -> None:
    model = _torch_decoder(decoder_run)
    past = torch.randn(2, 2, 3, 2, 4, 16)
    inputs = {"tokens": torch.tensor([[3], [4], [5]]), "vector": torch.randn(3, 384), "past": past}
    axes = {"tokens": {0: "batch"}, "vector": {0: "batch"}, "past": {2: "batch", 4: "before"}}
    path = tmp_path / "model.onnx"
    export_onnx(model, inputs, ["logits", "present"], axes, path)
    with torch.inference_mode():
        expected = [value.numpy() for value in model(*inputs.values())]
    found = session(path, 1).run(["logits", "present"], {key: value.numpy() for key, value in inputs.items()})
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))

    pack_weights(path, eight_bits=False, gathered_eight_bits=False)
    stored = onnx.load(path).graph.initializer
    large = [tensor for tensor in stored if np.prod(tensor.dims) >= SMALLEST_PACKED]
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}
    found = session(path, 1).run(["logits", "present"], {key: value.numpy() for key, value in inputs.items()})
    assert all(np.allclose(a, b, atol=1e-2) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("eight_bits", [True, False])
def test_weights_in_a_file_of_their_own_are_the_same(tmp_path: Path, eight_bits: bool) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(500, 16), torch.nn.Linear(16, 300)).eval()
    ids = torch.arange(0, 500, 5).reshape(4, 25)
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    export_onnx(model, {"ids": ids}, ["out"], {"ids": {0: "batch", 1: "length"}}, one)
    two.write_bytes(one.read_bytes())
    assert pack_weights(one, eight_bits=eight_bits) == ["one.onnx"]
    assert pack_weights(two, eight_bits=eight_bits, beside=True) == ["two.onnx", "two.onnx.data"]
    assert weights_beside(two).stat().st_size > two.stat().st_size
    found, expected = (
        session(path, 1, beside=[weights_beside(two).name]).run(None, {"ids": ids.numpy()})[0] for path in (two, one)
    )
    assert np.array_equal(found, expected)


def test_tables_of_words_take_eight_bits_a_row(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(500, 16), torch.nn.Linear(16, 300)).eval()
    with torch.no_grad():
        model[0].weight.mul_(torch.logspace(-2, 2, 500).unsqueeze(1))  # rows of very different sizes
    ids = torch.arange(0, 500, 5).reshape(4, 25)
    path = tmp_path / "model.onnx"
    export_onnx(model, {"ids": ids}, ["out"], {"ids": {0: "batch", 1: "length"}}, path)
    pack_weights(path, eight_bits=True)
    stored = {
        tensor.data_type for tensor in onnx.load(path).graph.initializer if np.prod(tensor.dims) >= SMALLEST_PACKED
    }
    assert stored == {onnx.TensorProto.INT8}
    with torch.inference_mode():
        expected = model(ids).numpy()
    (found,) = session(path, 1).run(None, {"ids": ids.numpy()})
    error = np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert error.max() < 0.02


@pytest.mark.parametrize("kind", ["regressor", "decoder"])
def test_configs(kind: str, request: pytest.FixtureRequest) -> None:
    model: ModelFolder = request.getfixturevalue(kind)
    run: Path = request.getfixturevalue(f"{kind}_run")
    assert model.name == {"regressor": "tiny_vit.test", "decoder": "tiny_decoder.test"}[kind]
    assert {check.state for check in model.verify()} == {"ok"}
    there = {path.name for path in model.path.iterdir()} - {"config.json", "README.md"}
    assert {check.path.name for check in model.verify()} == there
    best = json.loads((run / "checkpoint" / "state.json").read_text())["best"]
    assert model.config["score"] == {key: round(value, 4) for key, value in best.items()}


def test_the_preprocessing_travels_along(regressor: ModelFolder) -> None:
    rules = Preprocessing.from_config(regressor.config["preprocessing"])
    assert (rules.input_size, rules.mean, rules.std) == (160, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_an_exported_decoder_speaks(decoder: ModelFolder) -> None:
    for vector in SentenceEncoder.embedded().encode(["a red cat, oil painting", "a blue castle, digital art"]):
        assert Decoder(decoder).sentences(vector, 3)


def test_a_run_of_the_head_alone(regressor_recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    overrides = ["optimisation.epochs=0", "probe.epochs=1"]
    best = train_recipe(regressor_recipe, overrides, run)
    model = export_model(str(run), tmp_path / "model")
    assert {check.state for check in model.verify()} == {"ok"}
    assert model.config["score"] == {key: round(value, 4) for key, value in best.items()}


def test_an_export_that_loses_too_much_is_refused(
    regressor_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LARGEST_LOSS", -1.0)
    with pytest.raises(ModelError, match=r"the export scores 0\.\d+ on 4 validation pictures, the original 0\.\d+"):
        export_model(str(regressor_run), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_an_export_replaces_a_model_alone(decoder: ModelFolder, decoder_run: Path, tmp_path: Path) -> None:
    there = Path(shutil.copytree(decoder.path, tmp_path / "model"))
    (there / "README.md").write_text("by hand")
    (there / "model.onnx").write_text("of yesterday")
    model = export_model(str(decoder_run), there)
    assert {check.state for check in model.verify()} == {"ok"}
    assert (there / "README.md").read_text() == "by hand"
    assert {path.name for path in there.iterdir()} == {"README.md", *(path.name for path in decoder.path.iterdir())}
    before = sorted(path.name for path in decoder_run.iterdir())
    with pytest.raises(ModelError, match="expected a new folder or one with a model alone"):
        export_model(str(decoder_run), decoder_run)
    assert sorted(path.name for path in decoder_run.iterdir()) == before


def test_the_card_of_the_run_goes_along(regressor: ModelFolder, regressor_run: Path) -> None:
    card = (regressor_run / "best" / "README.md").read_text()
    assert (regressor.path / "README.md").read_text() == card
    assert sorted(path.name for path in regressor.path.iterdir()) == ["README.md", "config.json", "model.onnx"]


def test_a_folder_that_is_no_run(tmp_path: Path, decoder_run: Path) -> None:
    with pytest.raises(DataError, match=r"expected the folder of a training run at .*, found no recipe\.json in it"):
        export_model(str(tmp_path / "none"), tmp_path / "model")
    started = tmp_path / "started"
    started.mkdir()
    shutil.copy(decoder_run / "recipe.json", started)
    with pytest.raises(DataError, match=r"holds no best\.safetensors; let it train until its first evaluation"):
        export_model(str(started), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def clip_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return export_model("clip-tokenizer", tmp_path_factory.mktemp("models") / "clip")


def test_the_clip_tokenizer_of_the_package_is_what_is_exported(clip_tokenizer: ModelFolder) -> None:
    shipped = find_model("clip_tokenizer.unprompt")
    assert clip_tokenizer.file(MERGES).read_bytes() == shipped.file(MERGES).read_bytes()


def test_the_clip_tokenizer_is_open_clips(shared: Path) -> None:
    cure_torchvision()
    open_clip = pytest.importorskip("open_clip")
    theirs = open_clip.tokenizer.SimpleTokenizer()
    ours = load_clip_tokenizer()
    lines = (shared / "data" / "prompts" / "train.txt").read_text(encoding="utf-8").split("\n")
    curly = [line for line in lines if re.search("[‘’“”]", line)][:100]
    # ftfy, which open_clip cleans with, also mends what else has been encoded twice; compare what it leaves alone.
    plain = [line for line in lines[:-1:400] if not re.search("[‘’“”]", line)][:200]
    assert len(plain) == 200
    assert len(curly) > 20
    for line in plain:
        assert ours.encode(line, add_special_tokens=False).ids == theirs.encode(line), line
    for line in curly:
        assert count_clip_tokens(line) >= len(theirs.encode(line)), line
