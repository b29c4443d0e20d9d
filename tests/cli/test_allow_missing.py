"""unprompt PICTURE --allow-missing, where a member's models are on the hub: it is brought, or goes missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

import tiny_models  # noqa: E402
from cli.conftest import Run  # noqa: E402
from hub_server import Hub, ask_hub_at, dead_address, serving  # noqa: E402
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


Answer = Callable[..., Run]


@pytest.fixture
def answer(unprompt: Callable[..., Run], preset: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Runs `unprompt PICTURE --preset FILE OPTIONS` beside the hub at an address."""

    def run(address: str, *options: str) -> Run:
        ask_hub_at(address, preset.parent / "home", monkeypatch)
        return unprompt(examples / "coffee.jpg", "--preset", preset, "--ignore-metadata", *options)

    return run


def test_a_dead_network_leaves_those_that_are_here(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    with dead_address() as address:
        run = answer(address, "--allow-missing", "--format", "jsonl")
    assert run.code == 0, run.err
    record = json.loads(run.out)
    assert [(vote["member"], vote["weight"]) for vote in record["votes"]] == [("regressor", 1.0)]
    missing = record["model"]["missing"]
    assert "the hub is out of reach ([Errno 111] Connection refused)" in missing["blip"]
    assert missing["ofa"].startswith("ofa-tiny is not here: expected config.json and 3 more in")
    assert caplog.messages == [f"unprompt goes on without the member {name}: {missing[name]}" for name in missing]


def test_what_the_hub_has_is_brought_before_the_first_picture(
    answer: Answer, preset: Path, checkpoint: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Hub({OFA: checkpoint})) as address:
        run = answer(address, "--allow-missing", "--format", "jsonl")
    assert run.code == 0, run.err
    record = json.loads(run.out)
    assert [(vote["member"], vote["weight"]) for vote in record["votes"]] == [("regressor", 0.75), ("ofa", 0.25)]
    assert list(record["model"]["missing"]) == ["blip"]
    assert "config.json of Salesforce/blip-image-captioning-base cannot be had: 404" in caplog.text
    assert list((preset.parent / "home").rglob("pytorch_model.bin"))


def test_without_it_a_dead_network_is_an_error_of_few_words(answer: Answer) -> None:
    with dead_address() as address:
        run = answer(address)
    assert run.code == 2
    (line,) = run.err.splitlines()
    assert "the weights of blip-base are not here" in line
    assert "the hub is out of reach" in line
    assert "add --offline (HF_HUB_OFFLINE=1)" in line
