"""Files of the hub, of a hub on loopback."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hub_server import COMMIT, Hub, ask_hub_at, dead_address, serving

import unprompt
from unprompt.captioners.folder import HubSource
from unprompt.captioners.ofa.files import bring_files
from unprompt.errors import ModelError
from unprompt.models.store.hub import hub_file
from unprompt.models.store.hub_cache import go_offline

NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
REPOSITORY = "laion/tiny"
ASK = f"""
from unprompt.models.store.hub import hub_file
print(hub_file({REPOSITORY!r}, {NAMES!r}, "tiny").read_bytes().decode())
"""


def weights() -> str:
    """What is in the file, which is brought where it is not here."""
    return hub_file(REPOSITORY, NAMES, "tiny").read_bytes().decode()


def captioner() -> str:
    """Where the captioner's folder is, which is brought where it is not here."""
    return str(HubSource("tiny", "blip", "Salesforce/tiny").folder.path)


def checkpoint() -> str:
    """What is in a checkpoint's config, and the commit of each of its files."""
    files = bring_files("OFA-Sys/tiny", "tiny")
    return f"{files.config.read_text()} {[path.parent.name for path in astuple(files)]}"


Wanted = Callable[[], str]
Run = Callable[[Wanted, Hub | None], str]


@pytest.fixture
def hub() -> Hub:
    return Hub({REPOSITORY: {NAMES[1]: b"the second"}, "Salesforce/tiny": {"config.json": b"{}"}})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What comes of that hub, or of a dead network, or why it does not."""

    def ask(wanted: Wanted, hub: Hub | None) -> str:
        with dead_address() if hub is None else serving(hub) as address:
            ask_hub_at(address, tmp_path, monkeypatch)
            try:
                return wanted()
            except ModelError as error:
                return str(error)

    return ask


def test_the_second_name_is_taken_where_the_repository_has_no_first(run: Run, hub: Hub) -> None:
    assert run(weights, hub) == "the second"


def test_load_forbids_downloads_though_the_library_was_imported_before(run: Run, hub: Hub) -> None:
    def forbidden(wanted: Wanted) -> Wanted:
        return lambda: unprompt.load("embedded", offline=True) and wanted()

    for wanted in (weights, captioner):
        assert "the network is off (HF_HUB_OFFLINE): unset it once" in run(forbidden(wanted), hub)
    assert hub.asked == []
    run(weights, hub)
    assert run(forbidden(weights), hub) == "the second"  # what is in the cache is no download


def test_a_fault_of_the_hub_does_not_lead_to_other_weights(run: Run, hub: Hub) -> None:
    hub.files[REPOSITORY][NAMES[0]] = b"the first"
    hub.barred = {NAMES[0]}
    assert "the weights of tiny are not here" in run(weights, hub)
    assert hub.asked == []


@pytest.mark.parametrize("wanted", [weights, captioner])
def test_a_dead_network_is_one_line(
    wanted: Wanted, run: Run, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The hub's own library would try for half a minute, and say so."""
    told = run(wanted, None)
    assert "the weights of tiny are not here" in told
    assert "cannot be had: the hub is out of reach ([Errno 111] Connection refused); try again" in told
    assert "add --offline (HF_HUB_OFFLINE=1), which says at once all that is missing" in told
    assert (capfd.readouterr(), caplog.messages) == (("", ""), [])


def test_what_is_here_is_taken_without_asking(run: Run, hub: Hub) -> None:
    run(weights, hub)
    assert run(weights, None) == "the second"


def test_a_download_at_the_first_picture_goes_on_and_is_checked(run: Run, hub: Hub) -> None:
    hub.cut = {NAMES[1]: [4]}
    assert run(weights, hub) == "the second"
    assert hub.asked == [(NAMES[1], 0), (NAMES[1], 4)]


def test_two_processes_that_need_a_file_bring_it_one_after_the_other(hub: Hub, tmp_path: Path) -> None:
    blobs = tmp_path / "hub" / f"models--{REPOSITORY.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    lock = FileLock(blobs / f"{hub.digest(REPOSITORY, NAMES[1])}.unprompt.lock")
    command = [sys.executable, "-c", ASK]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with serving(hub) as address, lock:
        ways = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        waits = subprocess.Popen(command, env={**os.environ, **ways}, **pipes)
        assert waits.stderr.readline() == (
            f"unprompt waits for {NAMES[1]} of {REPOSITORY}, which another process is downloading\n"
        )
        assert hub.asked == []
        lock.release()
        assert waits.communicate(timeout=60) == ("the second\n", "")


def test_other_bytes_than_promised_are_no_weights(run: Run, hub: Hub) -> None:
    hub.other = {NAMES[1]: b"the third!"}
    told = run(weights, hub)
    assert f"the weights of tiny are not here: {NAMES[1]} of {REPOSITORY} came damaged: expected the hash" in told


def test_a_file_that_the_disk_has_no_room_for_is_not_begun(run: Run, hub: Hub) -> None:
    hub.sizes = {NAMES[1]: 10**18}
    told = run(weights, hub)
    assert f"{NAMES[1]} of {REPOSITORY} takes 1,000,000,000.0 GB, found room for " in told
    assert "make room, or set HF_HOME" in told
    assert hub.asked == []


WHOLE = {
    "config.json": b'{"model_type": "blip"}',
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "README.md": b"# BLIP",
    "sub/vocab.txt": b"nobody wants it",
}


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (["pytorch_model.bin"], ["pytorch_model.bin"]),
    ],
)
def test_a_captioners_folder_is_brought_and_then_taken_without_asking(
    there: list[str], taken: list[str], run: Run
) -> None:
    hub = Hub({"Salesforce/tiny": {**WHOLE, **dict.fromkeys(there, b"weights")}})
    folder = Path(run(captioner, hub))
    wanted = ["config.json", "preprocessor_config.json", "tokenizer.json", *taken]
    assert sorted(path.name for path in folder.iterdir()) == sorted(wanted)
    assert sorted(name for name, _ in hub.asked) == sorted(wanted)
    assert run(captioner, None) == str(folder)


def test_a_captioners_folder_that_the_hub_has_in_part(run: Run) -> None:
    told = run(captioner, Hub({"Salesforce/tiny": WHOLE}))
    assert "expected model.safetensors of Salesforce/tiny in" in told
    assert "the hub has no such files, or name a folder that you have (local:FOLDER)" in told


def test_a_folder_has_no_gap_where_its_repository_went_on(run: Run, tmp_path: Path) -> None:
    """Some files are here, of an earlier commit; the others lie in another folder of the cache."""
    hub = Hub({"Salesforce/tiny": {**WHOLE, "model.safetensors": b"weights"}})
    run(lambda: str(hub_file("Salesforce/tiny", ("config.json",), "tiny")), hub)
    (snapshots,) = tmp_path.rglob("snapshots")
    (old,) = snapshots.iterdir()
    old.rename(snapshots / ("f" * 40))
    (ref,) = tmp_path.rglob("refs/main")
    ref.write_text("f" * 40)
    folder = Path(run(captioner, hub))
    assert folder.name == COMMIT
    assert (folder / "config.json").is_file()


def test_the_files_of_a_checkpoint_are_of_one_commit(run: Run, tmp_path: Path) -> None:
    """Its config is here, of an earlier commit than that of which the weights come."""
    ofa = {"config.json": b'{"new": 1}', "vocab.json": b"{}", "merges.txt": b"a b", "pytorch_model.bin": b"weights"}
    cache = tmp_path / "hub" / "models--OFA-Sys--tiny"
    old = cache / "snapshots" / ("f" * 40)
    for folder in (old, cache / "refs"):
        folder.mkdir(parents=True)
    (old / "config.json").write_text('{"old": 1}')
    (cache / "refs" / "main").write_text(old.name)
    assert run(checkpoint, Hub({"OFA-Sys/tiny": ofa})) == f'{{"new": 1}} {[COMMIT] * 4}'


def test_a_repository_that_changes_all_the_time_is_given_up(run: Run) -> None:
    files = dict.fromkeys(("config.json", "vocab.json", "merges.txt", "pytorch_model.bin"), b"{}")
    hub = Hub({"OFA-Sys/tiny": files}, commits=(f"{number:040x}" for number in itertools.count()))
    told = run(checkpoint, hub)
    assert "the weights of tiny are not here: OFA-Sys/tiny changed on the hub during the download; try again" in told


def test_all_that_a_process_starts_is_offline_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # and as it was, in the end
    code = "import sys; from unprompt.models.store.hub_cache import is_offline; sys.exit(is_offline())"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    go_offline()
    assert subprocess.run([sys.executable, "-c", code]).returncode == 1
