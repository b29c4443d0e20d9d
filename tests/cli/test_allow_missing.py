"""unprompt PICTURE --allow-missing, where a member's models are on the hub: it is brought, or goes missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import tiny_models  # noqa: E402
from hub_server import Hub, dead_address, serving  # noqa: E402
from tiny_ofa import config as ofa_config  # noqa: E402
from tiny_ofa import weights as ofa_weights  # noqa: E402
from tiny_ofa import write as write_ofa  # noqa: E402

OFA = "OFA-Sys/ofa-tiny"


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    """A regressor that is here, and two captioners that are not."""
    regressor = tiny_models.regressor(tmp_path / "linear.tiny").path
    path = tmp_path / "own.toml"
    path.write_text(
        f'[[members]]\nkind = "regressor"\nmodel = "local:{regressor}"\nweight = 3\n'
        '[[members]]\nkind = "captioner"\nmodel = "blip-base"\nname = "blip"\nweight = 5\n'
        '[[members]]\nkind = "captioner"\nmodel = "ofa-tiny"\nname = "ofa"\nweight = 1\n'
    )
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> dict[str, bytes]:
    """The files of OFA."""
    sizes = ofa_config(image_bucket_size=30)
    write_ofa(tmp_path / "ofa", ofa_weights(sizes), sizes)
    return {path.name: path.read_bytes() for path in (tmp_path / "ofa").iterdir()}


def answer(preset: Path, address: str, picture: Path, *options: str) -> subprocess.CompletedProcess[str]:
    home = preset.parent / "home"
    ways = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "unprompt", str(picture), "--preset", str(preset), "--ignore-metadata", *options]
    return subprocess.run(command, env={**os.environ, **ways}, capture_output=True, text=True, timeout=300)


def test_a_dead_network_leaves_those_that_are_here(preset: Path, examples: Path) -> None:
    with dead_address() as address:
        run = answer(preset, address, examples / "coffee.jpg", "--allow-missing", "--format", "jsonl")
    assert run.returncode == 0, run.stderr
    record = json.loads(run.stdout)
    assert [(vote["member"], vote["weight"]) for vote in record["votes"]] == [("regressor", 1.0)]
    missing = record["model"]["missing"]
    assert "the hub is out of reach ([Errno 111] Connection refused)" in missing["blip"]
    assert missing["ofa"].startswith("ofa-tiny is not here: expected config.json and 3 more in")
    assert run.stderr.splitlines() == [
        f"unprompt goes on without the member {name}: {missing[name]}" for name in missing
    ]


def test_what_the_hub_has_is_brought_before_the_first_picture(
    preset: Path, examples: Path, checkpoint: dict[str, bytes]
) -> None:
    with serving(Hub({OFA: checkpoint})) as address:
        run = answer(preset, address, examples / "coffee.jpg", "--allow-missing", "--format", "jsonl")
    assert run.returncode == 0, run.stderr
    record = json.loads(run.stdout)
    assert [(vote["member"], vote["weight"]) for vote in record["votes"]] == [("regressor", 0.75), ("ofa", 0.25)]
    assert list(record["model"]["missing"]) == ["blip"]
    assert "config.json of Salesforce/blip-image-captioning-base cannot be had: 404" in run.stderr
    assert list((preset.parent / "home").rglob("pytorch_model.bin"))


def test_without_it_a_dead_network_is_an_error_of_few_words(preset: Path, examples: Path) -> None:
    with dead_address() as address:
        run = answer(preset, address, examples / "coffee.jpg")
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert "the weights of blip-base are not here" in line
    assert "the hub is out of reach" in line
    assert "add --offline (HF_HUB_OFFLINE=1)" in line
