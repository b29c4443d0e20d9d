"""Files of the hub, of a hub on loopback; what is set at import is set in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Hub, serving

NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
REPOSITORY = "laion/tiny"
ASK = f"""
from unprompt.errors import ModelError
from unprompt.models.hub import hub_file
try:
    print(hub_file({REPOSITORY!r}, {NAMES!r}, "tiny").read_bytes().decode())
except ModelError as error:
    print(error)
"""
FORBID = """
import huggingface_hub.constants
import unprompt
assert not huggingface_hub.constants.HF_HUB_OFFLINE
unprompt.load("embedded", offline=True)
"""
CAPTIONS = """
from unprompt.errors import ModelError
from unprompt.models.caption_folder import HubSource
try:
    print(HubSource("tiny", "blip", "Salesforce/tiny").folder)
except ModelError as error:
    print(error)
"""


@pytest.fixture
def hub() -> Hub:
    return Hub({REPOSITORY: {NAMES[1]: b"the second"}, "Salesforce/tiny": {"config.json": b"{}"}})


def run(code: str, hub: Hub, home: Path) -> str:
    with serving(hub) as address:
        ways = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env={**os.environ, **ways}, capture_output=True, text=True, timeout=120, check=True
        )
    return done.stdout


def test_the_second_name_is_taken_where_the_repository_has_no_first(hub: Hub, tmp_path: Path) -> None:
    assert run(ASK, hub, tmp_path) == "the second\n"


def test_load_forbids_downloads_though_the_library_was_imported_before(hub: Hub, tmp_path: Path) -> None:
    for code in (ASK, CAPTIONS):
        assert "the network is off (HF_HUB_OFFLINE): unset it once" in run(FORBID + code, hub, tmp_path)
    assert hub.asked == []
    run(ASK, hub, tmp_path)
    assert run(FORBID + ASK, hub, tmp_path) == "the second\n"  # what is in the cache is no download


def test_a_fault_of_the_hub_does_not_lead_to_other_weights(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY][NAMES[0]] = b"the first"
    hub.barred = {NAMES[0]}
    told = run(ASK, hub, tmp_path)
    assert "the weights of tiny are not here" in told
    assert hub.asked == []
