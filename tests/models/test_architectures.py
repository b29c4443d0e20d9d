"""Every family of image networks: built, trained, saved, read again, asked by the member, exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_backbones import FAMILIES, Tiny

from unprompt.errors import DataError
from unprompt.images.decode import Picture, decode
from unprompt.images.preprocess import preprocess
from unprompt.images.sources import image_refs
from unprompt.members.regressor import Regressor
from unprompt.models.regressors.onnx import session
from unprompt.models.store.folder import ModelFolder, write_config

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from unprompt.models.regressors.regressor_network import HeadSpec, RegressorNetwork  # noqa: E402
from unprompt.models.regressors.torch_folder import load_network, save_network  # noqa: E402

HEADS = {"vgg": HeadSpec("linear"), "clip": HeadSpec("wide"), "siglip": HeadSpec("wide", hidden=32)}
PERCEPTRON = HeadSpec("perceptron", hidden=16)


@pytest.fixture(scope="module")
def picture(examples: Path) -> Picture:
    (ref,) = image_refs([str(examples / "coffee.jpg")])
    decoded = decode(ref)
    assert isinstance(decoded, Picture)
    return decoded


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tiny(family: str) -> Tiny:
    return FAMILIES[family]


@pytest.fixture(scope="module")
def network(family: str, tiny: Tiny) -> RegressorNetwork:
    network = tiny.network(HEADS.get(family, PERCEPTRON)).eval()
    with torch.no_grad():
        network.fit_scale(network.features(_pixels(tiny, 8)))
    return network


@pytest.fixture(scope="module")
def folder(network: RegressorNetwork, family: str, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return save_network(
        network,
        tmp_path_factory.mktemp("models") / f"{family}.tiny",
        name=f"{family}.tiny",
        preprocessing=network.backbone.preprocessing,
        licence="MIT",
        origin="tests/models/test_architectures.py",
        score={},
        card=f"# {family}.tiny\n",
    )


def _pixels(tiny: Tiny, count: int) -> torch.Tensor:
    return torch.randn(count, 3, tiny.input_size, tiny.input_size, generator=torch.Generator().manual_seed(1))


def test_blocks_are_counted_from_the_bottom(network: RegressorNetwork, tiny: Tiny) -> None:
    backbone = network.backbone
    assert (backbone.size, backbone.depth, network.depth) == (tiny.size, tiny.depth, tiny.depth)
    for name, block in tiny.blocks.items():
        assert network.block_of(f"backbone.network.{name}") == backbone.block_of(f"network.{name}") == block, name
    blocks = {network.block_of(name) for name, _ in network.named_parameters()}
    assert blocks == set(range(tiny.depth + 1))
    assert network.block_of("head.linear.1.bias") == tiny.depth
    with pytest.raises(KeyError):
        network.block_of("backbone.network.nothing")


def test_a_step_changes_the_loss_and_every_weight(network: RegressorNetwork, family: str, tiny: Tiny) -> None:
    trained = tiny.network(HEADS.get(family, PERCEPTRON)).train()
    pixels = _pixels(tiny, 4)
    target = torch.nn.functional.normalize(torch.randn(4, 384, generator=torch.Generator().manual_seed(2)), dim=1)
    optimiser = torch.optim.SGD(trained.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        loss = 1 - (trained(pixels) * target).sum(dim=1).mean()
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[1] < losses[0]
    assert [name for name, value in trained.named_parameters() if value.grad is None] == []


def test_checkpointed_gradients_are_the_same(family: str, tiny: Tiny) -> None:
    plain, checkpointed = tiny.backbone().eval(), tiny.backbone().eval()
    if family == "vgg":
        with pytest.raises(DataError, match="vgg11_bn cannot checkpoint gradients"):
            checkpointed.checkpoint_gradients()
        return
    checkpointed.checkpoint_gradients()
    pixels = _pixels(tiny, 2)
    gradients = []
    for backbone in (plain.train(), checkpointed.train()):
        backbone(pixels).square().sum().backward()
        gradients.append([value.grad for value in backbone.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_what_is_read_again_gives_the_same_vectors(network: RegressorNetwork, folder: ModelFolder, tiny: Tiny) -> None:
    read = load_network(folder)
    pixels = _pixels(tiny, 3)
    with torch.inference_mode():
        ours, theirs = network(pixels), read(pixels)
    assert float((ours - theirs).abs().max()) < 1e-6
    assert not read.training
    assert read.backbone.preprocessing == network.backbone.preprocessing
    assert (read.backbone.name, read.backbone.options, read.head.spec) == (
        tiny.name,
        tiny.options,
        network.head.spec,
    )


def test_the_member_asks_it_about_a_real_picture(
    network: RegressorNetwork, folder: ModelFolder, picture: Picture
) -> None:
    (vote,) = Regressor(folder, name="tiny", weight=1.0, threads=1).vote([picture])
    pixels = torch.from_numpy(preprocess(picture.pixels, network.backbone.preprocessing))
    with torch.inference_mode():
        expected = network(pixels[None])[0]
    assert vote.vector is not None
    np.testing.assert_allclose(vote.vector, expected.numpy(), atol=1e-6)
    assert abs(float(np.linalg.norm(vote.vector)) - 1) < 1e-5


def test_its_export_answers_the_same(
    network: RegressorNetwork, folder: ModelFolder, tiny: Tiny, picture: Picture, tmp_path: Path
) -> None:
    from unprompt.training.onnx_export import export_onnx

    export_onnx(network, {"pixels": _pixels(tiny, 2)}, ["vectors"], {"pixels": {0: "batch"}}, tmp_path / "model.onnx")
    for count in (1, 3):
        pixels = _pixels(tiny, count)
        (vectors,) = session(tmp_path / "model.onnx", 1).run(["vectors"], {"pixels": pixels.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(vectors, network(pixels).numpy(), atol=1e-4)
    exported = write_config(tmp_path, folder.config, ["model.onnx"])
    (ours,) = Regressor(exported, name="tiny", weight=1.0, threads=1).vote([picture])
    (theirs,) = Regressor(folder, name="tiny", weight=1.0, threads=1).vote([picture])
    np.testing.assert_allclose(ours.vector, theirs.vector, atol=1e-4)  # type: ignore[arg-type]
