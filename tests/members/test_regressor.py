"""The regressor: real ONNX and real torch at tiny size."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from unprompt.errors import MissingExtraError, ModelError
from unprompt.images.decode import Picture, decode
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.images.sources import image_refs
from unprompt.members.device_room import Turns
from unprompt.members.regressor import Regressor
from unprompt.models.regressors.onnx import session
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.prediction import Vote
from unprompt.progress import Step


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


def test_neither_kind_of_weights(folder: ModelFolder, pictures: list[Picture]) -> None:
    (folder.path / "notes.txt").write_text("x")
    member = Regressor(write_config(folder.path, folder.config, ["notes.txt"]), name="a", weight=1.0)
    with pytest.raises(
        ModelError, match=r"expected an image model with model\.onnx or model\.safetensors, found notes"
    ):
        member.vote(pictures)


def _with(folder: ModelFolder, **changes: Any) -> ModelFolder:
    return write_config(folder.path, {**folder.config, **changes}, folder.config["files"])


def test_the_whole_picture_alone_is_what_no_views_mean(folder: ModelFolder, pictures: list[Picture]) -> None:
    plain = Regressor(folder, name="a", weight=1.0).vote(pictures)
    whole = Regressor(_with(folder, views=["whole"]), name="a", weight=1.0).vote(pictures)
    assert all((one.vector == other.vector).all() for one, other in zip(plain, whole, strict=True))


def test_several_views_are_averaged(folder: ModelFolder, pictures: list[Picture]) -> None:
    views = ["whole", "mirrored", "middle"]
    alone = [
        [vote.vector for vote in Regressor(_with(folder, views=[view]), name="a", weight=1.0).vote(pictures)]
        for view in views
    ]
    together = Regressor(_with(folder, views=views), name="a", weight=1.0)
    for number, vote in enumerate(together.vote(pictures)):
        mean = np.mean([vectors[number] for vectors in alone], axis=0)
        assert np.allclose(vote.vector, mean / np.linalg.norm(mean), atol=1e-6)
        assert not np.allclose(alone[0][number], alone[1][number], atol=1e-2)
        assert not np.allclose(alone[0][number], alone[2][number], atol=1e-2)
    assert together.shorter_side == 36  # the middle is cut out of a larger picture


@pytest.mark.parametrize("views", [[], "whole", ["whole", "whole"], ["upside down"], [["whole"]], {"whole": 1}, None])
def test_views_that_are_none(folder: ModelFolder, views: Any) -> None:
    with pytest.raises(ModelError, match=r"expected views to be some of whole, mirrored, middle, found"):
        Regressor(_with(folder, views=views), name="a", weight=1.0)


def test_every_pixel_where_the_config_says_so(folder: ModelFolder) -> None:
    assert Regressor(_with(folder, every_pixel=True), name="a", weight=1.0).shorter_side is None
    assert Regressor(_with(folder, every_pixel=False), name="a", weight=1.0).shorter_side == tiny_models.INPUT_SIZE


@pytest.fixture
def torch_folder(tmp_path: Path) -> ModelFolder:
    pytest.importorskip("torch")
    from tiny_backbones import FAMILIES

    from unprompt.models.regressors.regressor_network import HeadSpec
    from unprompt.models.regressors.torch_folder import save_network

    network = FAMILIES["vit"].network(HeadSpec("perceptron", hidden=8))
    return save_network(
        network,
        tmp_path / "vit.tiny",
        name="vit.tiny",
        preprocessing=network.backbone.preprocessing,
        licence="MIT",
        origin="tests",
        score={},
        card="",
        views=("whole", "mirrored"),
    )


@pytest.mark.torch
def test_torch_weights_give_the_same_bits_in_any_batch(torch_folder: ModelFolder, pictures: list[Picture]) -> None:
    member = Regressor(torch_folder, name="vit", weight=0.5, threads=3)
    together = member.vote(pictures)
    alone = [Regressor(torch_folder, name="vit", weight=0.5, threads=1).vote([picture])[0] for picture in pictures]
    assert [vote.weight for vote in together] == [0.5] * 3
    for one, other in zip(together, alone, strict=True):
        assert (one.vector == other.vector).all()
    assert not np.allclose(together[0].vector, together[1].vector, atol=1e-3)
    assert member.vote([]) == []


@pytest.mark.torch
def test_a_network_takes_its_turn_where_another_member_has_the_device(
    torch_folder: ModelFolder, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from unprompt.models.regressors.regressor_network import RegressorNetwork

    class Other:
        """Holds all of the device from its vote on until it is unloaded."""

        name, shorter_side, holds = "other", None, False

        def identities(self) -> dict[str, str]:
            return {}

        def prepare(self, step: Step) -> None: ...

        def vote(self, pictures: Sequence[Picture]) -> list[Vote]:
            self.holds = True
            return []

        def unload(self) -> None:
            self.holds = False

    def move(network: RegressorNetwork, device: torch.device) -> RegressorNetwork:
        if other.holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(network, device)

    expected = Regressor(torch_folder, name="vit", weight=1.0).vote(pictures)
    real = RegressorNetwork.to
    monkeypatch.setattr(RegressorNetwork, "to", move)
    other, member = Other(), Regressor(torch_folder, name="vit", weight=1.0)
    turns = Turns([other, member], taken=False)
    turns.vote(other, pictures)
    votes = turns.vote(member, pictures)
    assert turns.taken
    assert [(vote.vector == whole.vector).all() for vote, whole in zip(votes, expected, strict=True)] == [True] * 3


@pytest.mark.torch
def test_a_network_that_made_room_answers_the_same(torch_folder: ModelFolder, pictures: list[Picture]) -> None:
    member = Regressor(torch_folder, name="vit", weight=1.0)
    member.unload()
    assert "_engine" not in vars(member._encoder)  # what was never asked is not read for this
    before = member.vote(pictures)
    member.unload()
    assert not member._encoder._engine._network._has_moved
    for one, other in zip(before, member.vote(pictures), strict=True):
        assert (one.vector == other.vector).all()


@pytest.mark.torch
def test_damaged_torch_weights_show_at_the_first_vote(torch_folder: ModelFolder, pictures: list[Picture]) -> None:
    weights = torch_folder.path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    member = Regressor(torch_folder, name="vit", weight=1.0)
    with pytest.raises(ModelError, match="another sha256"):
        member.vote(pictures)


@pytest.mark.torch
def test_torch_weights_without_torch(
    torch_folder: ModelFolder, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "unprompt.models.regressors.torch_engine", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    member = Regressor(torch_folder, name="vit", weight=1.0)
    with pytest.raises(
        MissingExtraError, match=r"vit\.tiny, which was not exported .* pip install 'unprompt\[torch\]'"
    ):
        member.vote(pictures)
