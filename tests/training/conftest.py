"""Tiny data, and runs of the real tasks on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recorded_steps import RecordedSteps

COLOURS = {"red": (220, 30, 30), "green": (20, 200, 40), "blue": (30, 60, 230), "grey": (128, 128, 128)}
THINGS = ("cat", "house", "moon", "river", "castle", "robot")
STYLES = ("oil painting", "digital art", "watercolour", "pencil sketch")


def write_jsonl(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train.txt`, 48 prompts, and `val.txt`, 8 others."""
    folder = tmp_path_factory.mktemp("texts")
    prompts = [f"a {colour} {thing}, {style}" for thing in THINGS for colour in COLOURS for style in STYLES[:2]]
    (folder / "train.txt").write_text("\n".join(prompts) + "\n")
    held_out = [f"a {colour} {thing}" for thing in THINGS[:2] for colour in COLOURS]
    (folder / "val.txt").write_text("\n".join(held_out) + "\n")
    return folder


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `train.jsonl`, 8 generated pictures in 5 groups and 4 photos, and `val.jsonl`, 2 of each."""
    folder = tmp_path_factory.mktemp("pairs")
    generator = np.random.default_rng(3)

    def generated(number: int, group: int) -> dict[str, Any]:
        name, colour = list(COLOURS.items())[number % 4]
        pixels = generator.integers(0, 60, (40, 52, 3)) + np.array(colour) * 3 // 4
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"g{number}.png")
        prompt = f"a {name} cloud, {STYLES[group % 4]}"
        return {"file_name": f"g{number}.png", "prompt": prompt, "kind": "generated", "group": group}

    def photo(number: int) -> dict[str, Any]:
        Image.fromarray(generator.integers(0, 256, (44, 40, 3), dtype=np.uint8)).save(folder / f"p{number}.png")
        captions = [f"a {thing} seen from afar" for thing in THINGS[number : number + 3]]
        said = {"prompt": captions[0], "captions": captions}
        return {"file_name": f"p{number}.png", "kind": "photo", "group": -1, **said}

    groups = (0, 0, 0, 0, 1, 2, 3, 4)
    train = [*(generated(number, group) for number, group in enumerate(groups)), *map(photo, range(4))]
    write_jsonl(folder / "train.jsonl", train)
    write_jsonl(folder / "val.jsonl", [generated(10, 5), generated(11, 6), photo(2), photo(3)])
    return folder


@pytest.fixture(scope="session")
def decoder_recipe(texts: Path) -> Path:
    """A recipe for a decoder of 50,000 parameters: 3 epochs of 38 steps."""
    path = texts / "decoder.toml"
    path.write_text(
        f"""
        task = "decoder"
        name = "tiny_decoder.test"
        [optimisation]
        epochs = 3
        batch_size = 4
        learning_rate = 5e-3
        ema = 0.9
        precision = "fp32"
        [decoder]
        texts = [{json.dumps(str(texts / "train.txt"))}]
        validation = {json.dumps(str(texts / "val.txt"))}
        vocabulary_size = 300
        max_length = 24
        width = 32
        depth = 2
        heads = 2
        dropout = 0.1
        noise = 0.1
        recombined = 112
        """
    )
    return path


@pytest.fixture(scope="session")
def regressor_recipe(pairs: Path) -> Path:
    """A recipe for a vision transformer of 0.4 million parameters: 3 epochs of the head, 2 of all."""
    path = pairs / "regressor.toml"
    path.write_text(
        f"""
        task = "regressor"
        name = "tiny_vit.test"
        [probe]
        epochs = 3
        batch_size = 4
        learning_rate = 2e-3
        precision = "fp32"
        [optimisation]
        epochs = 2
        batch_size = 6
        learning_rate = 1e-4
        layer_decay = 0.8
        frozen = 0.33
        precision = "fp32"
        [data]
        train = {json.dumps(str(pairs / "train.jsonl"))}
        validation = {json.dumps(str(pairs / "val.jsonl"))}
        group_balance = 0.5
        [network]
        name = "test_vit"
        features = "classes"
        [head]
        kind = "perceptron"
        hidden = 32
        [augmentation]
        crop_scale = 0.6
        colour = 0.2
        [loss]
        contrastive = 0.1
        """
    )
    return path


@pytest.fixture(scope="session")
def seeing_recipe(regressor_recipe: Path) -> Path:
    """The same with a concept head, on features of all layers, with half of the patches dropped; an epoch of each."""
    text = regressor_recipe.read_text().replace("epochs = 3", "epochs = 1").replace("epochs = 2", "epochs = 1")
    text = text.replace('features = "classes"', 'features = "layers"\npatch_drop = 0.5')
    path = regressor_recipe.with_name("seeing.toml")
    path.write_text(text + "\n[concepts]\nleast_groups = 1\nphrase_groups = 2\nclasses = true\nhidden = 16\n")
    return path


def _train(recipe: Path, folder: Path) -> Path:
    pytest.importorskip("torch")
    from unprompt.training.run import train_recipe

    said: list[str] = []
    steps = RecordedSteps()
    train_recipe(recipe, [], folder, said.append, steps)
    (folder / "said.txt").write_text("\n".join(said))
    (folder / "steps.json").write_text(json.dumps(steps.steps))
    return folder


@pytest.fixture(scope="session")
def decoder_run(decoder_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the tiny decoder; what it reported is in `said.txt`."""
    return _train(decoder_recipe, tmp_path_factory.mktemp("runs") / "decoder")


@pytest.fixture(scope="session")
def regressor_run(regressor_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the tiny regressor."""
    return _train(regressor_recipe, tmp_path_factory.mktemp("runs") / "regressor")


@pytest.fixture(scope="session")
def seeing_run(seeing_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the tiny regressor with a concept head."""
    return _train(seeing_recipe, tmp_path_factory.mktemp("runs") / "seeing")


@pytest.fixture(scope="session")
def seeing_decoder_run(
    decoder_recipe: Path, decoder_run: Path, seeing_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a decoder that starts from the tiny one and learns to describe the pictures of `seeing_run`."""
    text = decoder_recipe.read_text().replace("epochs = 3", "epochs = 2").replace("recombined = 112", "")
    path = decoder_recipe.with_name("seeing-decoder.toml")
    start, pictures = json.dumps(str(decoder_run / "best.safetensors")), json.dumps(str(seeing_run))
    path.write_text(f"{text}\nstart_weights = {start}\npictures = {pictures}\n")
    return _train(path, tmp_path_factory.mktemp("runs") / "seeing-decoder")
