"""Low-rank updates: where they are, that they alone are trained, and that they go back into their matrices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from unprompt.errors import DataError

torch = pytest.importorskip("torch")

from unprompt.models.regressors.regressor_network import RegressorNetwork  # noqa: E402
from unprompt.models.regressors.torch_folder import load_network  # noqa: E402
from unprompt.models.store.folder import ModelFolder  # noqa: E402
from unprompt.progress import SILENT, no_report  # noqa: E402
from unprompt.training.export import trained_network  # noqa: E402
from unprompt.training.loop import BEST  # noqa: E402
from unprompt.training.lora import add_lora, merge_lora, name_without_lora  # noqa: E402
from unprompt.training.recipe import Lora, Network, Recipe  # noqa: E402
from unprompt.training.recipe_file import read_recipe  # noqa: E402
from unprompt.training.regressor import RegressorTask, build_network, build_start  # noqa: E402
from unprompt.training.run import train_recipe  # noqa: E402

pytestmark = pytest.mark.torch

HALF = Lora(rank=2, first=0.5, last=1.0)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe("regressor", "a.b", network=Network("test_vit"))


def fresh(recipe: Recipe) -> RegressorNetwork:
    return build_network(recipe, build_start(recipe))


def test_the_chosen_blocks_get_updates_that_change_nothing_yet(recipe: Recipe) -> None:
    network, plain = fresh(recipe).eval(), fresh(recipe).eval()
    add_lora(network, HALF)
    updates = [name for name, _ in network.named_parameters() if name_without_lora(name)[1]]
    assert {name.split(".")[3] for name in updates} == {"3", "4", "5"}
    assert {name_without_lora(name)[0] for name in updates} <= dict(plain.named_parameters()).keys()
    pixels = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(network(pixels), plain(pixels), atol=1e-6)


def test_merged_updates_leave_the_plain_network_and_the_same_answers(recipe: Recipe) -> None:
    network = fresh(recipe)
    names = network.state_dict().keys()
    add_lora(network, HALF)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
    pixels = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, before = network.eval()(pixels), fresh(recipe).eval()(pixels)
        merge_lora(network)
        assert network.state_dict().keys() == names
        assert torch.allclose(network(pixels), expected, atol=1e-5)
        assert not torch.allclose(expected, before, atol=1e-3)


def test_blocks_without_linear_maps_are_refused(recipe: Recipe) -> None:
    with pytest.raises(DataError, match=r"has no linear map in its blocks from 0\.5 to 0\.5"):
        add_lora(fresh(recipe), replace(HALF, last=0.5))


def test_updates_begin_alike_wherever_and_whenever(regressor_recipe: Path, tmp_path: Path) -> None:
    """Processes that train together, and a run that goes on, have to begin with the same numbers."""
    recipe = read_recipe(regressor_recipe, ["lora.rank=2"])
    states = []
    for place in range(2):
        torch.manual_seed(place)
        states.append(RegressorTask(recipe, tmp_path, no_report, SILENT).model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_run_trains_updates_and_head_alone(regressor_recipe: Path, tmp_path: Path) -> None:
    overrides = ["lora.rank=2", "optimisation.epochs=1", "probe.epochs=1"]
    train_recipe(regressor_recipe, overrides, tmp_path)
    recipe = read_recipe(regressor_recipe, overrides)
    start, trained = fresh(recipe).state_dict(), trained_network(recipe, tmp_path / BEST)[0].state_dict()
    moved = {name for name, value in trained.items() if not torch.equal(value, start[name])}
    blocks = {name.split(".")[3] for name in moved if ".blocks." in name}
    assert blocks == {"2", "3", "4"}  # from 0.25 to 0.75 of six
    assert all(name.endswith(".weight") for name in moved if ".blocks." in name)
    assert "head.linear.1.weight" in moved
    folder = load_network(ModelFolder.open(tmp_path / "best"))
    assert all(torch.equal(value, trained[name]) for name, value in folder.state_dict().items())
    # A run that is over finds its checkpoint fitting.
    assert train_recipe(regressor_recipe, overrides, tmp_path)
