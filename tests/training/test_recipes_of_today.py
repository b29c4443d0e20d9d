"""The recipes for today's backbones, run from their files at tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_backbones import FAMILIES

torch = pytest.importorskip("torch")

from unprompt.models.networks.backbones import plan_backbone  # noqa: E402
from unprompt.models.regressors.torch_folder import load_network  # noqa: E402
from unprompt.models.store.folder import ModelFolder  # noqa: E402
from unprompt.models.store.published_models import published_models  # noqa: E402
from unprompt.training.recipe_file import read_recipe  # noqa: E402
from unprompt.training.run import train_recipe  # noqa: E402

pytestmark = pytest.mark.torch

RECIPES = {
    "siglip2-b16": "siglip2",
    "pe-core-s16": "pe-core",
    "mobileclip2-s0": "mobileclip2",
    "dinov3-small": "dinov3",
    "tinyclip": "tinyclip",
}
"""The family in `tiny_backbones` that stands for each recipe's network."""


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_a_model_that_can_be_read(root: Path, pairs: Path, tmp_path: Path, name: str) -> None:
    tiny = FAMILIES[RECIPES[name]]
    options = ", ".join(f"{key} = {_toml(value)}" for key, value in tiny.options.items())
    small = [
        f"network.name={tiny.name}",
        f"network.options={{{options}}}",
        f"network.input_size={tiny.input_size}",
        "network.weights=random",
        "head.hidden=32",
        f"data.train={pairs / 'train.jsonl'}",
        f"data.validation={pairs / 'val.jsonl'}",
        "probe.epochs=1",
        "probe.batch_size=6",
        "optimisation.epochs=1",
        "optimisation.batch_size=6",
        "optimisation.precision=fp32",
        "probe.precision=fp32",
    ]
    scores = train_recipe(root / "recipes" / f"{name}.toml", small, tmp_path / "run")
    assert scores["balanced"] == pytest.approx(scores["balanced"])  # not NaN
    network = load_network(ModelFolder.open(tmp_path / "run" / "best"))
    assert network.backbone.name == tiny.name


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipes_network_exists_at_full_size_and_its_licence_is_known(root: Path, name: str) -> None:
    recipe = read_recipe(root / "recipes" / f"{name}.toml")
    plan = plan_backbone(recipe.network.name, features=recipe.network.features)  # without weights, at no cost
    assert plan.depth >= 10
    assert published_models()[recipe.network.name].licence
