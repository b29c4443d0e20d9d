"""A head that learns from texts, and a picture model that begins with it; CLIP at tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unprompt.errors import DataError

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from unprompt.models.regressors.torch_folder import load_network  # noqa: E402
from unprompt.models.store.folder import ModelFolder  # noqa: E402
from unprompt.training.loop import BEST  # noqa: E402
from unprompt.training.run import train_recipe  # noqa: E402

pytestmark = pytest.mark.torch

CLIP = """
[network]
name = "ViT-B-32"
options = {{embed_dim = 48, vision_cfg = {{layers = 2, width = 32, head_width = 16, image_size = 64}}}}
[head]
kind = "wide"
hidden = 64
standardise = false
"""


@pytest.fixture(scope="module")
def recipe(texts: Path) -> Path:
    path = texts / "text_head.toml"
    path.write_text(
        f"""
        task = "text-head"
        name = "clip.text-head"
        {CLIP.format()}
        [text_head]
        texts = [{json.dumps(str(texts / "train.txt"))}]
        validation = {json.dumps(str(texts / "val.txt"))}
        noise = 0.1
        options = {{embed_dim = 48, text_cfg = {{layers = 2, width = 32, heads = 2}}}}
        [optimisation]
        epochs = 30
        batch_size = 12
        learning_rate = 3e-3
        precision = "fp32"
        """
    )
    return path


@pytest.fixture(scope="module")
def run(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "text-head"
    train_recipe(recipe, [], folder)
    return folder


def test_it_learns_without_a_picture(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    scores = [line["text"] for line in lines if "text" in line]
    assert scores[-1] > scores[0] + 0.2
    network = load_network(ModelFolder.open(run / "best"))
    with torch.inference_mode():
        vectors = network(torch.randn(2, 3, 64, 64))
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2), atol=1e-5)


def test_a_picture_model_begins_with_its_head(run: Path, pairs: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        f"""
        task = "regressor"
        name = "clip.test"
        {CLIP.format()}
        [data]
        train = {json.dumps(str(pairs / "train.jsonl"))}
        validation = {json.dumps(str(pairs / "val.jsonl"))}
        [optimisation]
        epochs = 0
        batch_size = 4
        """
    )
    train_recipe(path, [f"head.start={run}"], tmp_path / "run")
    head, started = load_file(run / BEST), load_file(tmp_path / "run" / BEST)
    assert all(torch.equal(value, head[name]) for name, value in started.items() if name.startswith("head."))
    with pytest.raises(DataError, match="is of another kind or size; copy its"):
        train_recipe(path, [f"head.start={run}", "head.hidden=32"], tmp_path / "other")
    with pytest.raises(DataError, match="head: start: expected the folder of a finished run"):
        train_recipe(path, [f"head.start={tmp_path / 'none'}"], tmp_path / "third")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.options.embed_dim=32", "vectors of 48 numbers for texts and of 32 for pictures"),
        ("network.features=tokens", "vectors of 48 numbers for texts and of 64 for pictures"),
        ("text_head.texts=[VALIDATION]", "expected texts that are not in the validation set"),
    ],
)
def test_texts_that_no_head_can_learn_from(
    recipe: Path, texts: Path, tmp_path: Path, override: str, message: str
) -> None:
    override = override.replace("VALIDATION", json.dumps(str(texts / "val.txt")))
    with pytest.raises(DataError, match=message):
        train_recipe(recipe, [override], tmp_path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.name=test_vit", "has no text tower"),
        ("text_head.options={text_cfg = {heads = 3, width = 32}}", "cannot be built with"),
    ],
)
def test_towers_that_cannot_be(recipe: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train_recipe(recipe, [override, "network.options={}"], tmp_path)
