"""Recipes: what they may say, and what a wrong one is told."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from unprompt.errors import DataError, UnknownNameError
from unprompt.training.recipe import Optimisation
from unprompt.training.recipe_file import read_recipe, recipe_of_run

HEAD = 'task = "regressor"\nname = "a.b"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(HEAD)
    return path


def test_what_is_left_out_has_its_default(path: Path) -> None:
    recipe = read_recipe(path)
    assert (recipe.task, recipe.name) == ("regressor", "a.b")
    assert recipe.optimisation == Optimisation()
    assert recipe.probe.epochs == 0


def test_every_recipe_that_is_shipped_can_be_read(root: Path) -> None:
    found = sorted((root / "recipes").glob("*.toml"))
    assert found
    assert {read_recipe(recipe).task for recipe in found} == {"regressor", "text-head", "decoder"}


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("optimisation.epochs=3", "optimisation", "epochs", 3),
        ("optimisation.learning_rate=1", "optimisation", "learning_rate", 1.0),
        ("optimisation.learning_rate=2e-3", "optimisation", "learning_rate", 2e-3),
        ("optimisation.precision=fp32", "optimisation", "precision", "fp32"),
        ("optimisation.precision = 'fp32'", "optimisation", "precision", "fp32"),
        ("network.weights=", "network", "weights", ""),
        ("network.weights=../a b/c.safetensors", "network", "weights", "../a b/c.safetensors"),
        ("sight.mean=[0, 0.5, 1]", "sight", "mean", (0.0, 0.5, 1.0)),
        ('sight.views=["whole", "mirrored"]', "sight", "views", ("whole", "mirrored")),
        ("data.skip_bad=true", "data", "skip_bad", True),
        ("network.options={depths = [1, 1]}", "network", "options", {"depths": [1, 1]}),
        ("network.options.img_size=32", "network", "options", {"img_size": 32}),
        ('decoder.texts=["a.txt", "b.jsonl"]', "decoder", "texts", ("a.txt", "b.jsonl")),
    ],
)
def test_overrides(path: Path, override: str, section: str, key: str, value: object) -> None:
    found = getattr(getattr(read_recipe(path, [override]), section), key)
    assert found == value
    assert type(found) is type(value)


def test_the_last_override_of_a_key_wins_over_the_file(path: Path) -> None:
    path.write_text(HEAD + "[optimisation]\nepochs = 2\nseed = 9\n")
    recipe = read_recipe(path, ["optimisation.epochs=3", "optimisation.epochs=4", "name=c.d"])
    assert (recipe.optimisation.epochs, recipe.optimisation.seed, recipe.name) == (4, 9, "c.d")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimisation.epoch=3", r"unknown key in \[optimisation\] of .* 'epoch'; did you mean 'epochs'\?"),
        ("optimization.epochs=3", r"unknown key in .* 'optimization'; did you mean 'optimisation'\?"),
        ("task=regresor", r"unknown task in .* 'regresor'; did you mean 'regressor'\?"),
        ("loss.kind=angul", r"unknown kind in \[loss\] of .* 'angul'; did you mean 'angular'\?"),
        ('sight.views=["hole"]', r"unknown views in \[sight\] of .* 'hole'; did you mean 'whole'\?"),
        ("probe.precision=fp23", r"unknown precision in \[probe\] of .* 'fp23'; did you mean 'fp32'\?"),
    ],
)
def test_unknown_names_get_the_nearest_known_one(path: Path, override: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        read_recipe(path, [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "optimisation.epochs=2.5",
            r"\[optimisation\] of .*: expected epochs to be a whole number of 0 or more, found 2\.5",
        ),
        ("optimisation.epochs=true", "epochs to be a whole number of 0 or more, found True"),
        ("optimisation.learning_rate=fast", "learning_rate to be a number of 0 or more, found 'fast'"),
        ("network.name=3", "expected name to be a text, found 3"),
        ("network.options=3", "expected options to be a table, found 3"),
        ("data.skip_bad=1", "expected skip_bad to be true or false, found 1"),
        ("name=3", "expected name to be a text, found 3"),
        ("decoder.texts=a.txt", "expected texts to be a list of texts, found 'a.txt'"),
        ("decoder.texts=[1]", r"expected texts to be a list of texts, found \[1\]"),
        ('sight.mean=["a"]', r"expected mean to be a list of numbers, found \['a'\]"),
        ("probe=3", "expected probe to be a table, found 3"),
        ("name.x=3", "'name' is a value, not a section"),
        ("optimisation.epochs", "expected key=value, found 'optimisation.epochs'"),
        ("optimisation.batch_size=0", "batch_size to be a whole number of 1 or more, found 0"),
        ("probe.epochs=-1", r"\[probe\] of .*: expected epochs to be a whole number of 0 or more, found -1"),
        ("optimisation.frozen=1.5", r"expected frozen to be a number from 0 to 1, found 1\.5"),
        ("optimisation.learning_rate=nan", "learning_rate to be a number of 0 or more, found nan"),
    ],
)
def test_wrong_values(path: Path, override: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_recipe(path, [override])


def test_every_fault_of_a_recipe_is_said_at_once(path: Path) -> None:
    path.write_text('task = "regressor"\n[optimisation]\nepoch = 3\nclip = "no"\n[data]\nworkers = -1\n')
    with pytest.raises(DataError) as raised:
        read_recipe(path)
    assert str(raised.value) == (
        f"{path} lacks 'name'; unknown key in [optimisation] of {path} 'epoch'; did you mean 'epochs'?; "
        f"[optimisation] of {path}: expected clip to be a number of 0 or more, found 'no'; "
        f"[data] of {path}: expected workers to be a whole number of 0 or more, found -1"
    )


def test_a_recipe_needs_a_task_and_a_name(path: Path) -> None:
    path.write_text("")
    with pytest.raises(DataError, match="lacks 'task', 'name'"):
        read_recipe(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a recipe \(TOML\) at .*none.toml: No such file"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"task = regressor", b'task = "\xff"'])
def test_not_toml(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not TOML"):
        read_recipe(path)


def test_a_runs_folder_gives_its_recipe_back(path: Path, tmp_path: Path) -> None:
    recipe = read_recipe(path, ["sight.mean=[0.1, 0.2, 0.3]", "probe.epochs=4"])
    (tmp_path / "recipe.json").write_text(json.dumps(asdict(recipe)))
    assert recipe_of_run(tmp_path) == recipe


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_that_is_no_run(tmp_path: Path, content: "str | None") -> None:
    if content is not None:
        (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(DataError, match="expected the folder of a training run"):
        recipe_of_run(tmp_path)
