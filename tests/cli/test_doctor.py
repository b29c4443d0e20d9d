"""`unprompt doctor`: what is here, what is missing and what brings it; the hub is asked for seconds at most, or not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import hub_server
import pytest
from cli.conftest import Run
from web_servers import PRIVATE, never_accepting

from unprompt import diagnosis
from unprompt.diagnosis import readiness
from unprompt.presets import load_preset, preset_names


def test_it_says_what_is_here(unprompt: Callable[..., Run]) -> None:
    run = unprompt("doctor", "--offline")
    assert run.code == 0
    assert run.err == ""
    for said in ("Python 3.", "onnxruntime ", ": CPU", "hub ", "not asked: the network is off", "extra [torch]: "):
        assert said in run.out
    lines = [line.split("│")[1:3] for line in run.out.splitlines() if line.startswith("│")]
    told = {name.strip(): state.strip() for name, state in lines}
    assert told["embedded"] == "yes"
    assert set(told) == set(preset_names())


def test_as_json(unprompt: Callable[..., Run]) -> None:
    run = unprompt("doctor", "--json", "--offline")
    found = json.loads(run.out)
    assert found["hub"]["state"] == "not asked: the network is off"
    assert {preset["preset"]: preset["state"] for preset in found["presets"]}["embedded"] == "ready"
    assert {engine["name"] for engine in found["engines"]} >= {"onnxruntime"}
    assert "token" not in json.dumps(found["hub"]).replace("has_token", "")


def test_a_hub_that_answers_whatever_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "HUB_S", 60)
    with hub_server.serving(hub_server.Hub({})) as address:
        hub_server.ask_hub_at(address, tmp_path, monkeypatch)
        hub = diagnosis._hub()
    assert (hub.state, hub.fault, hub.address, hub.cache) == ("reachable", "", address, str(tmp_path / "hub"))


def test_a_hub_that_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "HUB_S", 0.2)
    with hub_server.dead_address() as address:
        hub_server.ask_hub_at(address, tmp_path, monkeypatch)
        assert diagnosis._hub().state == "out of reach"
    with never_accepting(PRIVATE) as port:
        hub_server.ask_hub_at(f"http://{PRIVATE}:{port}", tmp_path, monkeypatch)
        hub = diagnosis._hub()
    assert hub.state == "out of reach"
    assert hub.fault


def test_a_token_is_not_shown(unprompt: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_tests")
    for run in (unprompt("doctor", "--offline"), unprompt("doctor", "--json", "--offline")):
        assert "hf_of_the_tests" not in run.out
    assert "a token is set" in unprompt("doctor", "--offline").out


def test_what_a_preset_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'requires = ["torch"]\n'
        '[[members]]\nkind = "captioner"\nmodel = "blip-base"\n'
        '[[members]]\nkind = "server"\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"\napi_key_env = "OF_THE_TESTS"\n'
    )
    preset = load_preset(path)
    monkeypatch.setitem(sys.modules, "torch", None)
    hub_server.ask_hub_at("http://127.0.0.1:1", tmp_path, monkeypatch, offline=True)
    found = readiness(preset)
    assert (found.state, found.way) == ("no", "unprompt models fetch --preset own")
    assert 900 < found.download_mb < 1100
    for said in ("pip install 'unprompt[torch]'", "http://127.0.0.1:1/v1, found no connection", "OF_THE_TESTS"):
        assert any(said in lack for lack in found.lacks)


def test_an_engine_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "onnxruntime" in diagnosis._onnxruntime().fault


def test_an_installation_without_its_models_ends_with_2(
    unprompt: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from unprompt.models.store import registry

    monkeypatch.setattr(registry, "EMBEDDED", Path("nowhere"))
    run = unprompt("doctor", "--offline")
    assert run.code == 2
    assert "vit_tiny_patch16_224.unprompt" in run.out
