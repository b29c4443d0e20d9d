"""The regressor's tasks on tiny pictures: targets, draws, augmentation, probe and fine-tuning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unprompt.errors import DataError, UnknownNameError
from unprompt.text.sentence import SentenceEncoder

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from unprompt.models.backbones import Regressor  # noqa: E402
from unprompt.training.loop import BEST  # noqa: E402
from unprompt.training.recipe import Recipe, RegressorRecipe, read_recipe  # noqa: E402
from unprompt.training.regressor import (  # noqa: E402
    Pairs,
    ProbeTask,
    RegressorTask,
    read_pixels,
    regression_loss,
    score,
)
from unprompt.training.run import train_recipe  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture
def recipe(regressor_recipe: Path) -> Recipe:
    return read_recipe(regressor_recipe)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def task(recipe: Recipe, cache: Path) -> RegressorTask:
    return RegressorTask(recipe, cache)


def _read(pairs: Path, cache: Path, *, all_captions: bool = True, **options: Any) -> Pairs:
    return Pairs.read(pairs / "train.jsonl", RegressorRecipe(**options), cache, all_captions=all_captions)


def test_targets_are_the_prompts_vectors(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache, all_captions=False)
    records = [json.loads(line) for line in (pairs / "train.jsonl").read_text().splitlines()]
    expected = SentenceEncoder.embedded().encode([record["prompt"] for record in records])
    assert np.allclose(read.targets, expected, atol=1e-5)
    assert read.paths == [str(pairs / record["file_name"]) for record in records]
    assert read.photo.tolist() == [False] * 8 + [True] * 4


def test_the_target_of_a_photo_is_the_mean_of_its_captions(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache)
    captions = json.loads((pairs / "train.jsonl").read_text().splitlines()[-1])["captions"]
    mean = SentenceEncoder.embedded().encode(captions).mean(axis=0)
    assert np.allclose(read.targets[-1], mean / np.linalg.norm(mean), atol=1e-5)
    assert np.allclose(np.linalg.norm(read.targets, axis=1), 1, atol=1e-5)


def test_a_group_is_drawn_as_often_as_a_picture_alone(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache, group_balance=1.0)
    assert read.weights.tolist() == [0.25] * 4 + [1.0] * 8  # four pictures of one group; photos are alone
    drawn = read.draw(18_000, np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=12)
    assert counts[:4].sum() == pytest.approx(2000, rel=0.1)
    assert counts[4:] == pytest.approx([2000] * 8, rel=0.1)


def test_photos_have_a_weight_of_their_own(pairs: Path, cache: Path) -> None:
    assert _read(pairs, cache, photo_weight=0.5).weights.tolist() == [1.0] * 8 + [0.5] * 4
    assert _read(pairs, cache, group_balance=0.5).weights.tolist() == [0.5] * 4 + [1.0] * 8


def test_a_group_and_captions_may_be_missing_or_null(pairs: Path, cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    lines = [{"file_name": "a.png", "prompt": "a cat"}] * 2 + [{"file_name": "b.png", "prompt": "a dog", "group": None}]
    path.write_text("\n".join(json.dumps({**line, "captions": None}) for line in lines))
    read = Pairs.read(path, RegressorRecipe(group_balance=1.0), cache, all_captions=True)
    assert read.weights.tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[" * 10_000, "line 2: not JSON"),
        ("3", "line 2: expected a record with the string file_name and prompt"),
        ('{"file_name": "a.png"}', "line 2: expected a record with the string prompt"),
        ('{"file_name": "a.png", "prompt": 3}', "line 2: expected a record with the string prompt"),
        ('{"file_name": "a.png", "prompt": "a", "captions": "b"}', "line 2: expected captions to be a list of strings"),
        ('{"file_name": "a.png", "prompt": "a", "captions": [1]}', "line 2: expected captions to be a list of strings"),
        ('{"file_name": "a.png", "prompt": "a", "group": "b"}', "line 2: expected group to be a whole number"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"file_name": "a.png", "prompt": "a cat"}\n' + line + "\n")
    with pytest.raises(DataError, match=message):
        Pairs.read(path, RegressorRecipe(), tmp_path, all_captions=True)


def test_a_line_ends_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"file_name": "a.png", "prompt": "a cat\u2028and a dog\x85"}\n\n', encoding="utf-8")
    assert len(Pairs.read(path, RegressorRecipe(), tmp_path, all_captions=True).paths) == 1


def test_no_file_no_records_no_picture(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a text file at .*none\.jsonl"):
        Pairs.read(tmp_path / "none.jsonl", RegressorRecipe(), tmp_path, all_captions=True)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no records"):
        Pairs.read(tmp_path / "empty.jsonl", RegressorRecipe(), tmp_path, all_captions=True)
    with pytest.raises(DataError, match=r"none\.png"):
        read_pixels(str(tmp_path / "none.png"))


def test_an_epoch_is_always_the_same_and_unlike_the_next(task: RegressorTask) -> None:
    first, again, second = (list(task.batches(epoch, 6)) for epoch in (0, 0, 1))
    assert [batch["pixels"].shape for batch in first] == [(6, 3, 160, 160)] * 2
    assert all(torch.equal(a[key], b[key]) for a, b in zip(first, again, strict=True) for key in a)
    assert not torch.equal(first[0]["pixels"], second[0]["pixels"])


def test_without_augmentation_a_picture_is_straight_or_mirrored(recipe: Recipe, cache: Path) -> None:
    options = replace(recipe.regressor, crop_scale=1.0, colour=0.0)
    task = RegressorTask(replace(recipe, regressor=options), cache)
    (straight,) = task.pixel_batches(task.train.paths, torch.device("cpu"))
    known = [pixels for picture in straight for pixels in (picture, picture.flip(2))]
    shown = [pixels for batch in task.batches(0, 12) for pixels in batch["pixels"]]
    # Resizing a mirrored picture rounds otherwise by one step of 255 at most.
    nearest = [min(range(24), key=lambda at: float((pixels - known[at]).abs().max())) for pixels in shown]
    assert all(float((pixels - known[at]).abs().max()) < 0.03 for pixels, at in zip(shown, nearest, strict=True))
    assert {at % 2 for at in nearest} == {0, 1}


def test_vectors_are_unit_and_scaled_features_standard(task: RegressorTask, tmp_path: Path) -> None:
    probe = ProbeTask(task, tmp_path)
    model = task.model
    features = probe.features.flatten(0, 1)
    assert features.shape == (24, 2 * 64 + 1000)
    scaled = (features - model.centre) / model.spread
    varied = features.std(dim=0) > 1e-3
    assert varied[:128].float().mean() > 0.9
    assert torch.allclose(scaled[:, :128][:, varied[:128]].std(dim=0), torch.tensor(1.0), atol=0.01)
    assert torch.allclose(scaled[:, 128:][:, varied[128:]].std(dim=0), torch.tensor(0.5), atol=0.01)
    with torch.inference_mode():
        (pixels,) = task.pixel_batches(task.train.paths[:3], torch.device("cpu"))
        vectors = model.eval()(pixels)
        assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
        assert torch.allclose(model.project(probe.features[0, :3]), vectors, atol=1e-4)


def test_features_are_computed_once(task: RegressorTask, tmp_path: Path) -> None:
    first = ProbeTask(task, tmp_path)
    found = sorted((tmp_path / "cache").iterdir())
    with torch.no_grad():
        for parameter in task.model.backbone.parameters():
            parameter.zero_()
    assert torch.equal(ProbeTask(task, tmp_path).features, first.features)
    assert sorted((tmp_path / "cache").iterdir()) == found


def test_depths(task: RegressorTask) -> None:
    expected = {
        "backbone.pos_embed": -1,
        "backbone.patch_embed.proj.weight": -1,
        "backbone.blocks.1.norm1.weight": -1,
        "backbone.blocks.2.norm1.weight": 4,
        "backbone.blocks.5.mlp.fc2.bias": 1,
        "backbone.norm.weight": 0,
        "backbone.head.weight": 0,
        "linear.1.weight": 0,
        "perceptron.4.bias": 0,
    }
    assert {name: task.depth_of(name) for name in expected} == expected
    assert expected.keys() <= dict(task.model.named_parameters()).keys()


def test_the_loss_is_one_minus_the_cosine_plus_the_contrast() -> None:
    vectors = torch.eye(3, 384)
    assert regression_loss(vectors, vectors, RegressorRecipe()).item() == pytest.approx(0, abs=1e-6)
    assert regression_loss(vectors, vectors.roll(1, 0), RegressorRecipe()).item() == pytest.approx(1, abs=1e-6)
    options = RegressorRecipe(contrastive=2.0, temperature=0.5)
    expected = 2 * -np.log(np.exp(2) / (np.exp(2) + 2))
    assert regression_loss(vectors, vectors, options).item() == pytest.approx(expected, abs=1e-5)


def test_the_score_weighs_the_kinds_alike(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache)
    predicted = torch.from_numpy(read.targets).clone()
    predicted[8:] *= 0.5
    assert score(predicted, read) == pytest.approx({"balanced": 0.75, "generated": 1.0, "photo": 0.5}, abs=1e-5)


def test_probe_and_fine_tuning_learn(regressor_run: Path) -> None:
    probe, whole = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (regressor_run / "probe", regressor_run)
    )
    scores = [line["balanced"] for line in probe if "balanced" in line]
    assert scores[-1] > scores[0] + 0.1
    # Fine-tuning starts from the probe's best weights.
    first = next(line["balanced"] for line in whole if "balanced" in line)
    assert first == pytest.approx(max(scores), abs=1e-3)
    assert {"loss", "rate"} <= whole[-2].keys()


def test_each_stage_trains_its_own_weights(regressor_run: Path, task: RegressorTask) -> None:
    start = task.model.state_dict()
    probe, whole = load_file(regressor_run / "probe" / BEST), load_file(regressor_run / BEST)
    backbone = [name for name in start if name.startswith("backbone.")]
    assert all(torch.equal(start[name], probe[name]) for name in backbone)
    assert not torch.equal(start["linear.1.weight"], probe["linear.1.weight"])
    frozen = ("backbone.blocks.0.", "backbone.blocks.1.", "backbone.patch_embed", "backbone.pos_embed")
    assert all(torch.equal(start[name], whole[name]) for name in backbone if name.startswith(frozen))
    weights = load_file(regressor_run / "checkpoint" / "weights.safetensors")
    assert not any(name.startswith(frozen) for name in weights)
    assert not torch.equal(weights["backbone.blocks.2.attn.qkv.weight"], start["backbone.blocks.2.attn.qkv.weight"])


def test_a_finished_run_is_gone_through_again_at_once(regressor_run: Path, regressor_recipe: Path) -> None:
    said: list[str] = []
    best = train_recipe(regressor_recipe, [], regressor_run, said.append)
    assert said == ["goes on at step 9 of 9", "goes on at step 4 of 4"]
    assert best == json.loads((regressor_run / "checkpoint" / "state.json").read_text())["best"]


def test_start_weights(recipe: Recipe, cache: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    donor = Regressor("test_vit", hidden=8).backbone.state_dict()
    path = tmp_path / "start.safetensors"
    save_file(donor, path)
    options = replace(recipe.regressor, start_weights=str(path))
    task = RegressorTask(replace(recipe, regressor=options), cache)
    assert all(torch.equal(value, donor[name]) for name, value in task.model.backbone.state_dict().items())

    save_file({"other": torch.zeros(2)}, path)
    with pytest.raises(DataError, match="holds the weights of another network"):
        RegressorTask(replace(recipe, regressor=options), cache)
    path.write_bytes(b"no weights")
    with pytest.raises(DataError, match="is no safetensors file"):
        RegressorTask(replace(recipe, regressor=options), cache)
    path.unlink()
    with pytest.raises(DataError, match="expected start weights"):
        RegressorTask(replace(recipe, regressor=options), cache)


def test_backbones_that_cannot_be(recipe: Recipe, cache: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'vit_tiny_patch16_242'; did you mean 'vit_tiny_"):
        Regressor("vit_tiny_patch16_242", hidden=8)
    for name in ("test_resnet", "test_vit2"):  # no transformer; no class token
        with pytest.raises(DataError, match=f"{name} is no vision transformer"):
            Regressor(name, hidden=8)
    with pytest.raises(DataError, match=r"takes pictures of 160 pixels; write regressor\.input_size=160"):
        RegressorTask(replace(recipe, regressor=replace(recipe.regressor, input_size=224)), cache)
    with pytest.raises(DataError, match="expected three numbers for red, green, blue"):
        RegressorTask(replace(recipe, regressor=replace(recipe.regressor, mean=(0.5,))), cache)
