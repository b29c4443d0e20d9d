"""The regressor's tasks on tiny pictures: batches, augmentation, freezing, probe and fine-tuning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.text.sentence import SentenceEncoder

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from unprompt.images.preprocess import PUBLISHED_VIT  # noqa: E402
from unprompt.models.networks.backbones import build_backbone  # noqa: E402
from unprompt.models.regressors.torch_folder import load_network  # noqa: E402
from unprompt.models.store.folder import ModelFolder  # noqa: E402
from unprompt.progress import SILENT, no_report  # noqa: E402
from unprompt.training.loading import normalised  # noqa: E402
from unprompt.training.loop import BEST, LAST  # noqa: E402
from unprompt.training.probe import ProbeTask  # noqa: E402
from unprompt.training.recipe import Recipe, Sight  # noqa: E402
from unprompt.training.recipe_file import read_recipe  # noqa: E402
from unprompt.training.regressor import RegressorTask, build_network, build_start, preprocessing_of  # noqa: E402
from unprompt.training.run import train_recipe  # noqa: E402
from unprompt.training.scores import pixel_batches  # noqa: E402

pytestmark = pytest.mark.torch

ALL = slice(None)
CPU = torch.device("cpu")


@pytest.fixture
def recipe(regressor_recipe: Path) -> Recipe:
    return read_recipe(regressor_recipe)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def _task(recipe: Recipe, folder: Path, **sections: dict[str, Any]) -> RegressorTask:
    changed = {name: replace(getattr(recipe, name), **values) for name, values in sections.items()}
    return RegressorTask(replace(recipe, **changed), folder, no_report, SILENT)


def _probe(task: RegressorTask, folder: Path) -> ProbeTask:
    return ProbeTask(task, folder, CPU, SILENT)


@pytest.fixture
def task(recipe: Recipe, cache: Path) -> RegressorTask:
    return _task(recipe, cache)


def test_an_epoch_is_always_the_same_and_unlike_the_next(task: RegressorTask) -> None:
    first, again, second = (list(task.batches(epoch, 6, 0, ALL)) for epoch in (0, 0, 1))
    assert [batch["squares"].shape for batch in first] == [(6, 160, 160, 3)] * 2
    assert all(torch.equal(a[key], b[key]) for a, b in zip(first, again, strict=True) for key in a)
    assert not torch.equal(first[0]["squares"], second[0]["squares"])


def test_a_part_of_an_epoch_is_that_part(task: RegressorTask) -> None:
    whole = list(task.batches(1, 4, 0, ALL))
    (last,) = task.batches(1, 4, 2, ALL)
    assert all(torch.equal(last[key], whole[2][key]) for key in last)
    halves = [list(task.batches(1, 4, 0, slice(rank, None, 2))) for rank in range(2)]
    for batch, one, other in zip(whole, *halves, strict=True):
        assert torch.equal(batch["squares"][0::2], one["squares"])
        assert torch.equal(batch["target"][1::2], other["target"])


def test_threads_change_nothing(recipe: Recipe, cache: Path) -> None:
    one, many = (_task(recipe, cache, data={"workers": workers}) for workers in (1, 4))
    for a, b in zip(one.batches(0, 6, 0, ALL), many.batches(0, 6, 0, ALL), strict=True):
        assert torch.equal(a["squares"], b["squares"])


def test_on_a_cpu_channels_come_first_in_memory_too() -> None:
    assert normalised(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), PUBLISHED_VIT).is_contiguous()  # or oneDNN may crash


def test_without_augmentation_a_picture_is_straight_or_mirrored(recipe: Recipe, cache: Path) -> None:
    task = _task(recipe, cache, augmentation={"crop_scale": 1.0, "colour": 0.0})
    (straight,) = pixel_batches(task.train.pictures, task.preprocessing, task.loader, CPU)
    known = [pixels for picture in straight for pixels in (picture, picture.flip(2))]
    shown = [
        pixels for batch in task.batches(0, 12, 0, ALL) for pixels in normalised(batch["squares"], task.preprocessing)
    ]
    nearest = [min(range(24), key=lambda at: float((pixels - known[at]).abs().max())) for pixels in shown]
    assert all(float((pixels - known[at]).abs().max()) < 1e-6 for pixels, at in zip(shown, nearest, strict=True))
    assert {at % 2 for at in nearest} == {0, 1}


def test_mixgen_lays_pictures_over_each_other_and_joins_their_prompts(recipe: Recipe, cache: Path) -> None:
    plain = {"crop_scale": 1.0, "colour": 0.0, "flip": 0.0}
    data = {"group_balance": 0.0}
    before = _task(recipe, cache, augmentation=plain, data=data)
    mixed = _task(recipe, cache, augmentation={**plain, "mixgen": 0.5}, data=data)
    (single,), (both,) = before.batches(0, 12, 0, ALL), mixed.batches(0, 12, 0, ALL)
    order = before.draw.epoch(np.random.default_rng((before.seed, 0)))
    one, other = (single["squares"][place].int() for place in (2, 3))
    assert torch.equal(both["squares"][2].int(), (one + other + 1) // 2)
    assert torch.equal(both["squares"][6:], single["squares"][6:])
    prompts = [before.train.prompts[place] for place in order]
    expected = SentenceEncoder.embedded().encode([f"{prompts[2]}, {prompts[3]}"])[0]
    assert torch.allclose(both["target"][2], torch.from_numpy(expected), atol=1e-6)
    assert torch.equal(both["target"][6:], single["target"][6:])


def test_a_batch_has_to_be_there(task: RegressorTask) -> None:
    with pytest.raises(DataError, match="expected 13 pictures for a batch, found 12 in an epoch"):
        task.steps(13)


def test_vectors_are_unit_and_scaled_features_standard(task: RegressorTask, tmp_path: Path) -> None:
    probe = _probe(task, tmp_path)
    head = task.model.head
    features = probe.features.flatten(0, 1)
    assert features.shape == (24, 2 * 64 + 1000)
    scaled = (features - head.centre) / head.spread
    varied = features.std(dim=0) > 1e-3
    assert varied[:128].float().mean() > 0.9
    assert torch.allclose(scaled[:, :128][:, varied[:128]].std(dim=0), torch.tensor(1.0), atol=0.01)
    assert torch.allclose(scaled[:, 128:][:, varied[128:]].std(dim=0), torch.tensor(0.5), atol=0.01)
    with torch.inference_mode():
        (pixels,) = pixel_batches(task.train.pictures[:3], task.preprocessing, task.loader, CPU)
        vectors = task.model.eval()(pixels)
        assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
        assert torch.allclose(task.model.project(probe.features[0, :3]), vectors, atol=1e-4)


def test_features_are_computed_once(task: RegressorTask, tmp_path: Path) -> None:
    first = _probe(task, tmp_path)
    found = sorted((tmp_path / "cache").iterdir())
    with torch.no_grad():
        for parameter in task.model.backbone.parameters():
            parameter.zero_()
    assert torch.equal(_probe(task, tmp_path).features, first.features)
    assert sorted((tmp_path / "cache").iterdir()) == found


def test_features_of_another_network_are_not_taken(recipe: Recipe, task: RegressorTask, tmp_path: Path) -> None:
    first = _probe(task, tmp_path)
    other = _task(recipe, tmp_path, network={"features": "tokens"})
    assert _probe(other, tmp_path).features.shape[2] == 128 != first.features.shape[2]


def test_a_probe_sees_mirrored_pictures_only_where_training_does(recipe: Recipe, tmp_path: Path) -> None:
    probe = _probe(_task(recipe, tmp_path, augmentation={"flip": 0.0}), tmp_path)
    assert probe.features.shape[0] == 1
    (batch,) = probe.batches(0, 12, 0, ALL)
    assert batch["features"].shape == (12, probe.features.shape[2])


def test_depths(task: RegressorTask) -> None:
    expected = {
        "backbone.network.pos_embed": -1,
        "backbone.network.patch_embed.proj.weight": -1,
        "backbone.network.blocks.1.norm1.weight": -1,
        "backbone.network.blocks.2.norm1.weight": 4,
        "backbone.network.blocks.5.mlp.fc2.bias": 1,
        "backbone.network.norm.weight": 0,
        "backbone.network.head.weight": 0,
        "head.linear.1.weight": 0,
        "head.perceptron.4.bias": 0,
    }
    assert {name: task.depth_of(name) for name in expected} == expected
    assert expected.keys() <= dict(task.model.named_parameters()).keys()


@pytest.mark.parametrize(("frozen", "trained"), [(0.0, 0), (0.5, 3), (1.0, 6)])
def test_freezing_by_fraction(recipe: Recipe, cache: Path, frozen: float, trained: int) -> None:
    task = _task(recipe, cache, optimisation={"frozen": frozen})
    blocks = [task.depth_of(f"backbone.network.blocks.{block}.norm1.weight") for block in range(6)]
    assert blocks == [-1] * trained + [6 - block for block in range(trained, 6)]
    assert task.depth_of("head.linear.1.weight") == 0


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
    assert not torch.equal(start["head.linear.1.weight"], probe["head.linear.1.weight"])
    frozen = tuple(f"backbone.network.{part}" for part in ("blocks.0.", "blocks.1.", "patch_embed", "pos_embed"))
    assert all(torch.equal(start[name], whole[name]) for name in backbone if name.startswith(frozen))
    weights = load_file(regressor_run / "checkpoint" / "weights.safetensors")
    assert not any(name.startswith(frozen) for name in weights)
    assert not torch.equal(
        weights["backbone.network.blocks.2.attn.qkv.weight"], start["backbone.network.blocks.2.attn.qkv.weight"]
    )


def test_a_finished_run_is_gone_through_again_at_once(regressor_run: Path, regressor_recipe: Path) -> None:
    said: list[str] = []
    best = train_recipe(regressor_recipe, [], regressor_run, said.append)
    assert said[0].startswith("always the mean vector  balanced 0.")
    assert said[1:] == ["goes on at step 9 of 9", "goes on at step 4 of 4"]
    assert best == json.loads((regressor_run / "checkpoint" / "state.json").read_text())["best"]


def test_each_step_of_a_run_is_shown_to_its_end(regressor_run: Path) -> None:
    steps = json.loads((regressor_run / "steps.json").read_text())
    looking = "looking for broken pictures in"
    names = [f"{looking} train.jsonl", f"{looking} val.jsonl", "features", "features", "training", "training"]
    assert [name for name, _total, _done in steps] == names
    assert all(sum(done) == total for _name, total, done in steps)


def test_a_run_ends_with_two_model_folders(regressor_run: Path, task: RegressorTask) -> None:
    for name, weights in (("best", BEST), ("last", LAST)):
        folder = ModelFolder.open(regressor_run / name)
        network, expected = load_network(folder), load_file(regressor_run / weights)
        assert folder.name == "tiny_vit.test"
        assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())
        assert folder.config["preprocessing"] == task.preprocessing.to_config()
        card = (folder.path / "README.md").read_text()
        assert "8 generated pictures and 4 photos" in card
        assert "| balanced | 0." in card
    lines = [json.loads(line) for line in (regressor_run / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if "balanced" in line][-1]
    assert ModelFolder.open(regressor_run / "last").config["score"]["balanced"] == pytest.approx(
        last["balanced"], abs=1e-4
    )


def test_start_weights(recipe: Recipe, cache: Path, tmp_path: Path) -> None:
    donor = build_backbone("test_vit", features="classes").network.state_dict()
    path = tmp_path / "start.safetensors"
    save_file(donor, path)
    task = _task(recipe, cache, network={"weights": str(path)})
    assert all(torch.equal(value, donor[name]) for name, value in task.model.backbone.network.state_dict().items())

    path.write_bytes(b"no weights")
    with pytest.raises(DataError, match="expected weights as a safetensors file"):
        _task(recipe, cache, network={"weights": str(path)})
    path.unlink()
    with pytest.raises(DataError, match="expected start weights"):
        _task(recipe, cache, network={"weights": str(path)})


def test_the_network_is_refused_before_the_data_is_read(recipe: Recipe, tmp_path: Path) -> None:
    nowhere = {"train": str(tmp_path / "none.jsonl")}
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'vit_tiny_patch16_242'; did you mean 'vit_tiny_"):
        _task(recipe, tmp_path, network={"name": "vit_tiny_patch16_242"}, data=nowhere)
    with pytest.raises(DataError, match="class token"):
        _task(recipe, tmp_path, network={"name": "test_resnet"}, data=nowhere)
    with pytest.raises(DataError, match="multiple of 16 pixels, not of 100"):
        _task(recipe, tmp_path, network={"input_size": 100}, data=nowhere)
    with pytest.raises(ModelError, match="expected mean to be a list of 3 numbers"):
        _task(recipe, tmp_path, sight={"mean": (0.5,)}, data=nowhere)
    with pytest.raises(DataError, match=r"none\.jsonl"):
        _task(recipe, tmp_path, data=nowhere)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimisation.batch_size=1000", "expected 1000 pictures for a batch, found 12 in an epoch"),
        ("lora={rank = 2, first = 0.5, last = 0.5}", "has no linear map in its blocks"),
        ("sight.views=[]", "views: expected one or more of whole"),
    ],
)
def test_what_the_second_stage_cannot_do_is_refused_before_the_first(
    regressor_recipe: Path, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        train_recipe(regressor_recipe, [override], tmp_path)
    assert not (tmp_path / "probe").exists()


def test_a_head_that_was_begun_with_keeps_its_scale(
    regressor_run: Path, regressor_recipe: Path, tmp_path: Path
) -> None:
    overrides = [f"head.start={regressor_run}", "augmentation.flip=0.0", "probe.epochs=1", "optimisation.epochs=0"]
    train_recipe(regressor_recipe, overrides, tmp_path)
    start, trained = load_file(regressor_run / BEST), load_file(tmp_path / "probe" / BEST)
    assert torch.equal(trained["head.centre"], start["head.centre"])
    assert torch.equal(trained["head.spread"], start["head.spread"])


@pytest.mark.parametrize("parts", ["optimisation.batch_size=1", "optimisation.accumulate=4"])
def test_a_batch_norm_needs_more_than_one_picture(regressor_recipe: Path, tmp_path: Path, parts: str) -> None:
    with pytest.raises(DataError, match="a wide head needs two pictures or more at a time"):
        train_recipe(regressor_recipe, ["head.kind=wide", parts], tmp_path)


def test_a_network_is_the_same_whenever_it_is_built(recipe: Recipe) -> None:
    otherwise = replace(recipe, optimisation=replace(recipe.optimisation, seed=1))
    built = (build_network(each, build_start(each)) for each in (recipe, recipe, otherwise))
    one, again, other = (network.state_dict() for network in built)
    assert all(torch.equal(value, again[name]) for name, value in one.items())
    assert not torch.equal(other["head.linear.1.weight"], one["head.linear.1.weight"])


def test_the_recipe_overrides_how_the_network_sees() -> None:
    own = build_backbone("vit_base_patch16_224", options={"depth": 1}).preprocessing
    assert own.crop_share == 0.9
    assert preprocessing_of(Sight(), own).crop_share == 1.0  # the whole picture, unless the recipe asks for less
    assert preprocessing_of(Sight(crop_share=0.0), own) == own
    published = read_recipe(Path(__file__).parents[2] / "recipes" / "published-vit.toml")
    assert preprocessing_of(published.sight, own) == PUBLISHED_VIT
