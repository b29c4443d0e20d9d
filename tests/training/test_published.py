"""The published ensemble's ViT, trained by its recipe at small size on real pairs, killed in the middle and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from unprompt.training.loop import BEST, LAST  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

TRAINED, HELD_OUT = 384, 64  # pictures, half of them photos
SMALL = [
    "network.name=vit_tiny_patch16_224",
    "network.input_size=112",
    "optimisation.batch_size=8",
    "optimisation.evaluations=6",
]
KILLED = """
import os, signal, sys
from pathlib import Path
from unprompt.training.run import train_recipe

def report(line):
    if line.startswith("step 96/144  balanced"):
        os.kill(os.getpid(), signal.SIGKILL)

train_recipe(Path(sys.argv[1]), sys.argv[3:], Path(sys.argv[2]), report)
"""


def _some(shared: Path, name: str, count: int, folder: Path) -> str:
    """A data set of every n-th picture, as many generated ones as photos, where the pictures lie."""
    lines = (shared / "data" / "pairs" / name).read_text().splitlines()
    records = [json.loads(line) for line in lines]
    chosen: list[dict[str, Any]] = []
    for kind in ("generated", "photo"):
        of_kind = [record for record in records if record["kind"] == kind]
        chosen += of_kind[:: len(of_kind) // (count // 2)][: count // 2]
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in chosen))
    return str(path)


@pytest.fixture(scope="module")
def overrides(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "images").symlink_to(shared / "data" / "pairs" / "images", target_is_directory=True)
    weights = shared / "weights" / "vit_tiny_patch16_224" / "vit_tiny_patch16_224.safetensors"
    train = _some(shared, "train.jsonl", TRAINED, folder)
    validation = _some(shared, "val.jsonl", HELD_OUT, folder)
    return [*SMALL, f"network.weights={weights}", f"data.train={train}", f"data.validation={validation}"]


@pytest.fixture(scope="module")
def recipe(root: Path) -> Path:
    return root / "recipes" / "published-vit.toml"


@pytest.fixture(scope="module")
def unbroken(recipe: Path, overrides: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    command = [sys.executable, "-m", "unprompt", "train", str(recipe), *overrides, "--output", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "balanced\t0." in run.stdout
    return folder


def _metrics(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "rate"} for line in lines]


def test_it_learns_more_than_the_mean_vector(unbroken: Path) -> None:
    floor = json.loads((unbroken / "data.json").read_text())["floor"]["balanced"]
    scores = [line["balanced"] for line in _metrics(unbroken) if "balanced" in line]
    assert scores[-1] > floor  # by 0.006: these are few pictures
    losses = [line["loss"] for line in _metrics(unbroken) if "loss" in line]
    assert losses[-1] < losses[0]


def test_killed_and_resumed_it_ends_where_an_unbroken_run_ends(
    recipe: Path, overrides: list[str], unbroken: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(recipe), str(tmp_path / "run"), *overrides]
    assert subprocess.run(command, check=False, env=os.environ).returncode == -signal.SIGKILL
    command = [sys.executable, "-m", "unprompt", "train", str(recipe), *overrides, "--output", str(tmp_path / "run")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "goes on at step 72 of 144" in run.stderr
    assert _metrics(tmp_path / "run") == _metrics(unbroken)
    for name in (BEST, LAST):
        ours, theirs = load_file(tmp_path / "run" / name), load_file(unbroken / name)
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
