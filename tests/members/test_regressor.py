"""The regressor: real ONNX at tiny size."""

from pathlib import Path

import numpy as np
import pytest
import tiny_models

from unprompt.errors import ModelError
from unprompt.images.decode import Picture, decode
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.images.sources import image_refs
from unprompt.members.regressor import Regressor
from unprompt.models.folder import ModelFolder, write_config
from unprompt.models.onnx import session


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return tiny_models.regressor(tmp_path / "linear.tiny")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    decoded = [decode(ref) for ref in image_refs(map(str, tiny_models.pictures(tmp_path / "pictures", 3)))]
    return [item for item in decoded if isinstance(item, Picture)]


def test_votes_are_the_models_vectors(folder: ModelFolder, pictures: list[Picture]) -> None:
    member = Regressor(folder, name="linear", weight=0.5)
    votes = member.vote(pictures)

    rules = Preprocessing.from_config(tiny_models.PREPROCESSING)
    pixels = np.stack([preprocess(picture.pixels, rules) for picture in pictures])
    (vectors,) = session(folder.path / "model.onnx").run(None, {"pixels": pixels})
    assert [vote.member for vote in votes] == ["linear"] * 3
    assert [vote.weight for vote in votes] == [0.5] * 3
    assert np.allclose(np.stack([vote.vector for vote in votes]), vectors, atol=1e-6)
    assert np.allclose([np.linalg.norm(vote.vector) for vote in votes], 1, atol=1e-5)


def test_it_says_how_many_pixels_it_needs(folder: ModelFolder) -> None:
    assert Regressor(folder, name="a", weight=1.0).shorter_side == tiny_models.INPUT_SIZE


def test_damaged_weights_show_at_the_first_vote(folder: ModelFolder, pictures: list[Picture]) -> None:
    weights = folder.path / "model.onnx"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    member = Regressor(folder, name="a", weight=1.0)
    with pytest.raises(ModelError, match="another sha256"):
        member.vote(pictures)


def test_no_preprocessing_is_no_image_model(folder: ModelFolder) -> None:
    config = {key: value for key, value in folder.config.items() if key != "preprocessing"}
    with pytest.raises(ModelError, match="without preprocessing"):
        Regressor(write_config(folder.path, config, ["model.onnx"]), name="a", weight=1.0)


def test_another_output_is_refused(folder: ModelFolder, pictures: list[Picture]) -> None:
    import onnx

    model = onnx.load(folder.path / "model.onnx")
    model.graph.node[-1].output[0] = model.graph.output[0].name = "logits"
    onnx.save(model, folder.path / "model.onnx")
    member = Regressor(write_config(folder.path, folder.config, ["model.onnx"]), name="a", weight=1.0)
    with pytest.raises(ModelError, match="expected the output vectors"):
        member.vote(pictures)
