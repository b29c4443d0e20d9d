"""Soups of two runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from unprompt.errors import DataError, ModelError

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from unprompt.models.regressors.torch_folder import load_network  # noqa: E402
from unprompt.training.loop import BEST  # noqa: E402
from unprompt.training.run import train_recipe  # noqa: E402
from unprompt.training.soup import cook, mean_weights  # noqa: E402

pytestmark = pytest.mark.torch

SHORT = ["optimisation.epochs=0", "probe.epochs=2"]


@pytest.fixture(scope="module")
def runs(regressor_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        train_recipe(regressor_recipe, [*SHORT, f"probe.seed={seed}"], folder / str(seed))
    return [folder / "0", folder / "1"]


def test_the_mean_of_numbers_and_the_first_of_counters() -> None:
    several = [{"a": torch.tensor([float(value)]), "n": torch.tensor(value)} for value in (1, 2, 6)]
    mean = mean_weights(several)
    assert mean["a"].item() == 3
    assert mean["n"].item() == 1


def test_a_uniform_soup(runs: list[Path], tmp_path: Path) -> None:
    said: list[str] = []
    folder = cook(runs, tmp_path / "soup", greedy=False, report=said.append)
    name = "head.perceptron.1.weight"
    one, other = (load_file(run / "probe" / BEST)[name] for run in runs)
    assert not torch.equal(one, other)
    assert torch.allclose(load_network(folder).state_dict()[name], (one + other) / 2, atol=1e-7)
    assert said[-1].startswith("soup  of 2  balanced 0.")
    assert folder.config["score"]["balanced"] > 0
    assert str(runs[1]) in (folder.path / "README.md").read_text()


def test_a_greedy_soup_is_no_worse_than_its_best_run(runs: list[Path], tmp_path: Path) -> None:
    said: list[str] = []
    folder = cook(runs, tmp_path / "soup", greedy=True, report=said.append)
    alone = [
        cook([run, run], tmp_path / f"{place}", greedy=False, report=said.append) for place, run in enumerate(runs)
    ]
    scores = [each.config["score"]["balanced"] for each in alone]
    assert folder.config["score"]["balanced"] >= max(scores) - 1e-6
    card = (folder.path / "README.md").read_text()
    assert "chosen from 2 greedily" in card
    assert card.count("- `") == (2 if ": added" in said[0] else 1)  # the runs that are in it
    assert ": added, balanced 0." in said[0] or ": left out, balanced 0." in said[0]


def test_what_has_no_mean(runs: list[Path], regressor_recipe: Path, decoder_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the folders of two runs or more"):
        cook(runs[:1], tmp_path / "soup", greedy=False, report=print)
    with pytest.raises(DataError, match="is of another network, head or sight"):
        cook([runs[0], decoder_run], tmp_path / "soup", greedy=False, report=print)
    with pytest.raises(DataError, match="expected the folder of a training run"):
        cook([runs[0], tmp_path], tmp_path / "soup", greedy=False, report=print)
    said: list[str] = []
    with pytest.raises(ModelError, match="expected a new folder or one with a model alone"):
        cook(runs, runs[0], greedy=True, report=said.append)
    assert said == []  # before the work
