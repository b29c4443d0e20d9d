"""Files of the hub, of a hub on loopback; what is set at import is set in processes of their own."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hub_server import COMMIT, Hub, dead_address, serving

from unprompt.models.store.hub_cache import go_offline

NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
REPOSITORY = "laion/tiny"
ASK = f"""
from unprompt.errors import ModelError
from unprompt.models.store.hub import hub_file
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
from unprompt.captioners.folder import HubSource
try:
    print(HubSource("tiny", "blip", "Salesforce/tiny").folder)
except ModelError as error:
    print(error)
"""
CHECKPOINT = """
from dataclasses import astuple
from unprompt.errors import ModelError
from unprompt.captioners.ofa.files import bring_files
try:
    files = bring_files("OFA-Sys/tiny", "tiny")
    print(files.config.read_text(), [path.parent.name for path in astuple(files)])
except ModelError as error:
    print(error)
"""


@pytest.fixture
def hub() -> Hub:
    return Hub({REPOSITORY: {NAMES[1]: b"the second"}, "Salesforce/tiny": {"config.json": b"{}"}})


def environment(address: str, home: Path) -> dict[str, str]:
    ways = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    return {**os.environ, **ways}


def ask(code: str, address: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment(address, home), capture_output=True, text=True, timeout=120, check=True
    )


def run(code: str, hub: Hub, home: Path) -> str:
    with serving(hub) as address:
        return ask(code, address, home).stdout


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


@pytest.mark.parametrize("code", [ASK, CAPTIONS], ids=["file", "folder"])
def test_a_dead_network_is_one_line(code: str, tmp_path: Path) -> None:
    """The hub's own library would try for half a minute, and say so."""
    with dead_address() as address:
        done = ask(code, address, tmp_path)
    assert "the weights of tiny are not here" in done.stdout
    assert "cannot be had: the hub is out of reach ([Errno 111] Connection refused); try again" in done.stdout
    assert "add --offline (HF_HUB_OFFLINE=1), which says at once all that is missing" in done.stdout
    assert done.stderr == ""


def test_what_is_here_is_taken_without_asking(hub: Hub, tmp_path: Path) -> None:
    run(ASK, hub, tmp_path)
    with dead_address() as address:
        done = ask(ASK, address, tmp_path)
    assert (done.stdout, done.stderr) == ("the second\n", "")


def test_a_download_at_the_first_picture_goes_on_and_is_checked(hub: Hub, tmp_path: Path) -> None:
    hub.cut = {NAMES[1]: [4]}
    assert run(ASK, hub, tmp_path) == "the second\n"
    assert hub.asked == [(NAMES[1], 0), (NAMES[1], 4)]


def test_two_processes_that_need_a_file_bring_it_one_after_the_other(hub: Hub, tmp_path: Path) -> None:
    blobs = tmp_path / "hub" / f"models--{REPOSITORY.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    lock = FileLock(blobs / f"{hub.digest(REPOSITORY, NAMES[1])}.unprompt.lock")
    command = [sys.executable, "-c", ASK]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with serving(hub) as address, lock, subprocess.Popen(command, env=environment(address, tmp_path), **pipes) as waits:
        assert waits.stderr.readline() == (
            f"unprompt waits for {NAMES[1]} of {REPOSITORY}, which another process is bringing\n"
        )
        assert hub.asked == []
        lock.release()
        assert waits.communicate(timeout=60) == ("the second\n", "")


def test_other_bytes_than_promised_are_no_weights(hub: Hub, tmp_path: Path) -> None:
    hub.other = {NAMES[1]: b"the third!"}
    told = run(ASK, hub, tmp_path)
    assert f"the weights of tiny are not here: {NAMES[1]} of {REPOSITORY} came damaged: expected the hash" in told


WHOLE = {
    "config.json": b'{"model_type": "blip"}',
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "README.md": b"# BLIP",
    "sub/vocab.txt": b"nobody wants it",
}


@pytest.mark.parametrize(
    ("weights", "taken"),
    [
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (["pytorch_model.bin"], ["pytorch_model.bin"]),
    ],
)
def test_a_captioners_folder_is_brought_and_then_taken_without_asking(
    weights: list[str], taken: list[str], tmp_path: Path
) -> None:
    hub = Hub({"Salesforce/tiny": {**WHOLE, **dict.fromkeys(weights, b"weights")}})
    code = CAPTIONS.replace(".folder)", ".folder.path)")
    folder = Path(run(code, hub, tmp_path).strip())
    wanted = ["config.json", "preprocessor_config.json", "tokenizer.json", *taken]
    assert sorted(path.name for path in folder.iterdir()) == sorted(wanted)
    assert sorted(name for name, _ in hub.asked) == sorted(wanted)
    with dead_address() as address:
        done = ask(code, address, tmp_path)
    assert (done.stdout, done.stderr) == (f"{folder}\n", "")


def test_a_captioners_folder_that_the_hub_has_in_part(tmp_path: Path) -> None:
    told = run(CAPTIONS, Hub({"Salesforce/tiny": WHOLE}), tmp_path)
    assert "expected model.safetensors of Salesforce/tiny in" in told
    assert "the hub has no such files, or name a folder that you have (local:FOLDER)" in told


def test_a_folder_has_no_gap_where_its_repository_went_on(tmp_path: Path) -> None:
    """Some files are here, of an earlier commit; the others lie in another folder of the cache."""
    hub = Hub({"Salesforce/tiny": {**WHOLE, "model.safetensors": b"weights"}})
    run(ASK.replace(REPOSITORY, "Salesforce/tiny").replace(NAMES[0], "config.json"), hub, tmp_path)
    (snapshots,) = tmp_path.rglob("snapshots")
    (old,) = snapshots.iterdir()
    old.rename(snapshots / ("f" * 40))
    (ref,) = tmp_path.rglob("refs/main")
    ref.write_text("f" * 40)
    folder = Path(run(CAPTIONS.replace(".folder)", ".folder.path)"), hub, tmp_path).strip())
    assert folder.name == COMMIT
    assert (folder / "config.json").is_file()


def test_the_files_of_a_checkpoint_are_of_one_commit(tmp_path: Path) -> None:
    """Its config is here, of an earlier commit than that of which the weights come."""
    ofa = {"config.json": b'{"new": 1}', "vocab.json": b"{}", "merges.txt": b"a b", "pytorch_model.bin": b"weights"}
    cache = tmp_path / "hub" / "models--OFA-Sys--tiny"
    old = cache / "snapshots" / ("f" * 40)
    for folder in (old, cache / "refs"):
        folder.mkdir(parents=True)
    (old / "config.json").write_text('{"old": 1}')
    (cache / "refs" / "main").write_text(old.name)
    told = run(CHECKPOINT, Hub({"OFA-Sys/tiny": ofa}), tmp_path)
    assert told == f'{{"new": 1}} {[COMMIT] * 4}\n'


def test_a_repository_that_changes_all_the_time_is_given_up(tmp_path: Path) -> None:
    files = dict.fromkeys(("config.json", "vocab.json", "merges.txt", "pytorch_model.bin"), b"{}")
    hub = Hub({"OFA-Sys/tiny": files}, commits=(f"{number:040x}" for number in itertools.count()))
    told = run(CHECKPOINT, hub, tmp_path)
    assert "the weights of tiny are not here: OFA-Sys/tiny changed on the hub while it was brought; try again" in told


def test_all_that_a_process_starts_is_offline_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # and as it was, in the end
    code = "import sys; from unprompt.models.store.hub_cache import is_offline; sys.exit(is_offline())"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    go_offline()
    assert subprocess.run([sys.executable, "-c", code]).returncode == 1
