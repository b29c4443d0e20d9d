"""Regressors with a codebook: the ONNX model answers what the codebook's own arithmetic says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

# With importmode=importlib the tests are not on the path.
sys.path.insert(0, str(Path(__file__).parent.parent))

import tiny_models

from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture, decode
from unprompt.images.sources import image_refs
from unprompt.models.folder import CARD, ModelFolder, write_config
from unprompt.models.picture_encoder import PictureEncoder
from unprompt.text.sentence import SentenceEncoder
from unprompt.training.codebook import Codebook

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from unprompt.training.refinement import OWN, refine_by_texts  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return tiny_models.regressor(tmp_path_factory.mktemp("models") / "linear.tiny")


def _refined(source: ModelFolder, texts: Path, pairs: Path, folder: Path, size: int = 12) -> ModelFolder:
    return refine_by_texts(
        source, [texts / "train.txt"], pairs / "val.jsonl", folder, size=size, sharpness=9.0, share=0.3
    )


def _pictures(pairs: Path) -> list[Picture]:
    read = [decode(ref, read_metadata=False) for ref in image_refs([str(path) for path in sorted(pairs.glob("*.png"))])]
    return [picture for picture in read if isinstance(picture, Picture)]


def _stored(folder: ModelFolder) -> npt.NDArray[np.float32]:
    """The codebook of a model, as it is stored."""
    graph = onnx.load(str(folder.file("model.onnx"))).graph
    parts = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    widened: npt.NDArray[np.float32] = parts[f"{OWN}int8"] * parts[f"{OWN}scale"]
    return widened


def test_the_model_answers_what_the_codebook_says(
    source: ModelFolder, texts: Path, pairs: Path, tmp_path: Path
) -> None:
    refined = _refined(source, texts, pairs, tmp_path / "refined.tiny")
    pictures = _pictures(pairs)
    seen, found = PictureEncoder(source).encode(pictures), PictureEncoder(refined).encode(pictures)
    expected = Codebook(_stored(refined), 9.0, 0.3).draw(seen)
    assert np.allclose(found, expected, atol=1e-4)  # int8 rows are not quite of unit length
    assert np.abs(found - seen).max() > 0.01
    assert np.array_equal(PictureEncoder(refined).encode(pictures[3:4]), found[3:4])


def test_the_config_says_what_was_done_and_how_it_scores(
    source: ModelFolder, texts: Path, pairs: Path, tmp_path: Path
) -> None:
    refined = _refined(source, texts, pairs, tmp_path / "refined.tiny")
    assert refined.name == "refined.tiny"
    assert refined.config["codebook"] == {"size": 12, "prompts": 43, "sharpness": 9.0, "share": 0.3}
    assert refined.config["preprocessing"] == source.config["preprocessing"]
    assert [check.state for check in refined.verify()] == ["ok"]
    named = _prompts(pairs)[:2]
    read = [decode(next(image_refs(str(pairs / name))), read_metadata=False) for name, _ in named]
    vectors = PictureEncoder(refined).encode([picture for picture in read if isinstance(picture, Picture)])
    true = SentenceEncoder.embedded().encode([prompt for _, prompt in named])
    mean = float((vectors * true).sum(axis=1).mean())
    assert refined.config["score"]["generated"] == pytest.approx(mean, abs=1e-4)


def test_texts_that_are_similar_to_validation_prompts_are_left_out(
    source: ModelFolder, pairs: Path, tmp_path: Path
) -> None:
    prompts = [prompt for _, prompt in _prompts(pairs)]
    others = ["a steam train in the snow", "quantum computing lecture notes", "three bananas on a table", "the pope"]
    (tmp_path / "texts.txt").write_text("\n".join([*prompts, *others]))
    refined = refine_by_texts(
        source,
        [tmp_path / "texts.txt"],
        pairs / "val.jsonl",
        tmp_path / "refined.tiny",
        size=4,
        sharpness=20,
        share=0.4,
    )
    assert refined.config["codebook"]["prompts"] == 4
    true = SentenceEncoder.embedded().encode(others)
    assert (true @ _stored(refined).T).max(axis=1).min() > 0.999


def test_refining_again_replaces_the_codebook(source: ModelFolder, texts: Path, pairs: Path, tmp_path: Path) -> None:
    once = _refined(source, texts, pairs, tmp_path / "once.tiny")
    twice = _refined(_refined(once, texts, pairs, tmp_path / "other.tiny", size=5), texts, pairs, tmp_path / "2.tiny")
    assert twice.config["files"] == once.config["files"]


def test_the_card_stays_and_other_files_are_not_touched(
    source: ModelFolder, texts: Path, pairs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "refined.tiny"
    _refined(source, texts, pairs, folder)
    (folder / CARD).write_text("# mine\n")
    _refined(source, texts, pairs, folder)
    assert (folder / CARD).read_text() == "# mine\n"
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"found notes\.txt"):
        _refined(source, texts, pairs, folder)


def test_a_model_without_onnx_weights(texts: Path, pairs: Path, tmp_path: Path) -> None:
    path = tmp_path / "torch.tiny"
    path.mkdir()
    (path / "model.safetensors").write_bytes(b"")
    config = {"name": "torch.tiny", "architecture": "linear", "licence": "MIT", "origin": "here"}
    model = write_config(path, config, ["model.safetensors"])
    with pytest.raises(ModelError, match=r"expected model\.onnx, found none; 'unprompt models export' makes it"):
        _refined(model, texts, pairs, tmp_path / "refined.tiny")


def test_too_few_texts(source: ModelFolder, texts: Path, pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found 100 vectors for 43"):
        _refined(source, texts, pairs, tmp_path / "refined.tiny", size=100)
    assert not (tmp_path / "refined.tiny").exists()


def _prompts(pairs: Path) -> list[tuple[str, str]]:
    """Names and prompts of the validation pictures."""
    records = [json.loads(line) for line in (pairs / "val.jsonl").read_text().splitlines()]
    return [(record["file_name"], record["prompt"]) for record in records]
