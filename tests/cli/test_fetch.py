"""unprompt models fetch, by HTTP, from a hub on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_captioners
from cli.conftest import Run
from hub_server import COMMIT, Hub, ask_hub_at, dead_address, serving

BLIP, OFA = "Salesforce/blip-image-captioning-base", "OFA-Sys/ofa-tiny"
CLIP = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
SMALL = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
WEIGHTS = bytes(range(256)) * 20_000
"""Five megabytes."""


@pytest.fixture
def hub() -> Hub:
    blip = {name: f'{{"name": "{name}"}}'.encode() for name in SMALL}
    files = {
        BLIP: {**blip, "model.safetensors": WEIGHTS, "pytorch_model.bin": b"nobody wants it", "README.md": b"# BLIP"},
        OFA: {
            "config.json": b"{}",
            "vocab.json": b'{"a": 0}',
            "merges.txt": b"a b\n",
            "pytorch_model.bin": WEIGHTS[::-1],
        },
        CLIP: {"open_clip_pytorch_model.bin": b"weights"},
    }
    return Hub(files, large={"model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin"})


Fetch = Callable[..., Run]


@pytest.fixture
def fetch(unprompt: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Runs `unprompt models fetch ARGUMENTS`, which asks `hub`, or whom `address` leads to."""

    def run(hub: Hub, home: Path, *arguments: str, offline: bool = False, address: str = "") -> Run:
        with serving(hub) as own:
            ask_hub_at(address or own, home / "hf", monkeypatch, offline=offline)
            monkeypatch.setenv("UNPROMPT_MODELS", str(home / "models"))
            return unprompt("models", "fetch", *arguments)

    return run


def place(home: Path, repository: str) -> Path:
    return home / "hf" / "hub" / f"models--{repository.replace('/', '--')}"


def test_all_that_a_captioner_needs_is_brought_and_no_more(hub: Hub, tmp_path: Path) -> None:
    """In processes of their own, which take the hub's address and the cache from their environment."""
    command = [sys.executable, "-m", "unprompt", "models", "fetch", "blip-base"]
    with serving(hub) as address:
        ways = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        told = []
        for offline in ("0", "1"):
            environment = {**os.environ, **ways, "HF_HUB_OFFLINE": offline, "UNPROMPT_MODELS": str(tmp_path / "models")}
            run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
            assert run.returncode == 0, run.stderr
            told.append((run.stderr, len(hub.asked)))
    snapshot = place(tmp_path, BLIP) / "snapshots" / COMMIT
    assert {path.name for path in snapshot.iterdir()} == {*SMALL, "model.safetensors"}
    assert (snapshot / "model.safetensors").read_bytes() == WEIGHTS
    assert (snapshot / "model.safetensors").resolve().name == hub.digest(BLIP, "model.safetensors")
    (first, asked), (again, asked_again) = told
    assert "blip-base is here: 5.1 MB" in first
    assert "all of it is here already" in again
    assert asked_again == asked


def test_a_download_that_breaks_off_goes_on_where_it_was(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    hub.cut = {"pytorch_model.bin": [1_000_000, 2_000_000]}
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 0, run.err
    begins = [begin for name, begin in hub.asked if name == "pytorch_model.bin"]
    assert begins == [0, 1_000_000, 3_000_000]
    assert (place(tmp_path, OFA) / "snapshots" / COMMIT / "pytorch_model.bin").read_bytes() == WEIGHTS[::-1]


def test_the_next_run_goes_on_as_well(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    hub.cut = {"pytorch_model.bin": [1_000_000, 0, 0, 0]}
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 2
    assert "pytorch_model.bin of OFA-Sys/ofa-tiny broke off" in run.err
    assert "it goes on" in run.err
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 0, run.err
    assert hub.asked[-1] == ("pytorch_model.bin", 1_000_000)
    assert (place(tmp_path, OFA) / "snapshots" / COMMIT / "pytorch_model.bin").read_bytes() == WEIGHTS[::-1]


def test_what_is_here_of_an_earlier_commit_is_brought_again_with_the_rest(
    fetch: Fetch, hub: Hub, tmp_path: Path
) -> None:
    """The cache knows one commit: what is here of the one before is no longer found once anything newer has come."""
    assert fetch(hub, tmp_path, "ofa-tiny").code == 0
    snapshots = place(tmp_path, OFA) / "snapshots"
    old = (snapshots / COMMIT).rename(snapshots / ("f" * 40))
    (place(tmp_path, OFA) / "refs" / "main").write_text(old.name)
    for name in ("vocab.json", "pytorch_model.bin"):
        (old / name).unlink()
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 0, run.err
    assert "ofa-tiny is here: 5.1 MB" in run.err
    assert {path.name for path in (snapshots / COMMIT).iterdir()} == set(hub.files[OFA])
    again = fetch(hub, tmp_path, "ofa-tiny", "--offline")
    assert (again.code, again.err) == (0, "unprompt: all of it is here already\n")


def test_other_bytes_than_the_hash_promises_are_thrown_away(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    hub.other = {"pytorch_model.bin": WEIGHTS, "vocab.json": b'{"b": 0}'}
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 2
    for name in ("pytorch_model.bin", "vocab.json"):
        assert f"{name} of OFA-Sys/ofa-tiny came damaged: expected the hash" in run.err
    kept = [path.name for path in (place(tmp_path, OFA) / "snapshots" / COMMIT).iterdir()]
    assert sorted(kept) == ["config.json", "merges.txt"]
    assert not list(place(tmp_path, OFA).rglob("*.incomplete"))
    hub.other = {}
    assert fetch(hub, tmp_path, "ofa-tiny").code == 0


def test_a_shorter_file_than_promised_begins_anew(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    hub.other = {"vocab.json": b"[]"}
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 2
    assert "vocab.json of OFA-Sys/ofa-tiny broke off" in run.err
    hub.other = {}
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 0, run.err


def test_a_longer_file_than_promised_is_not_taken(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    hub.other = {"merges.txt": b"a b\n" * 1_000_000}
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 2
    assert "merges.txt of OFA-Sys/ofa-tiny came damaged" in run.err


def test_of_a_preset_all_that_cannot_be_had_is_said_at_once(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    preset = tmp_path / "own.toml"
    preset.write_text(
        'requires = ["torch"]\n'
        '[[members]]\nkind = "regressor"\nmodel = "vit_base_patch16_224.published"\n'
        '[[members]]\nkind = "captioner"\nmodel = "ofa-tiny"\n'
        '[[members]]\nkind = "captioner"\nmodel = "git-large-coco"\nname = "git"\n'
        '[[members]]\nkind = "interrogator"\nmodel = "ViT-B-32.laion2b_s34b_b79k"\ncaption = "blip-base"\n'
    )
    run = fetch(hub, tmp_path, "--preset", str(preset))
    assert run.code == 2
    assert "make it with 'unprompt models convert CHECKPOINT --architecture vit_base_patch16_224" in run.err
    assert "config.json of microsoft/git-large-coco cannot be had" in run.err
    for name in ("ofa-tiny", "ViT-B-32.laion2b_s34b_b79k", "blip-base"):
        assert f"{name} is here" in run.err
    bin_only = place(tmp_path, CLIP) / "snapshots" / COMMIT / "open_clip_pytorch_model.bin"
    assert bin_only.read_bytes() == b"weights"


@pytest.mark.parametrize("name", ["joytag", "fancyfeast/joytag", "SmilingWolf/wd-new-tagger-v3"])
def test_a_tagger_is_brought_by_its_name_or_its_repository(fetch: Fetch, tmp_path: Path, name: str) -> None:
    wd = {"model.onnx": b"weights", "selected_tags.csv": b"name,category\n", "model.safetensors": b"nobody wants it"}
    joytag = {"model.onnx": b"weights", "top_tags.txt": b"1girl\n", "README.md": b"# JoyTag"}
    hub = Hub({"fancyfeast/joytag": joytag, "SmilingWolf/wd-new-tagger-v3": wd})
    run = fetch(hub, tmp_path, name)
    assert run.code == 0, run.err
    assert f"{name} is here" in run.err
    assert {asked for asked, _ in hub.asked} == {"model.onnx", "top_tags.txt" if "joy" in name else "selected_tags.csv"}


@pytest.mark.parametrize(("arguments", "offline"), [(["--offline"], False), ([], True)])
def test_offline_nothing_is_asked(fetch: Fetch, hub: Hub, tmp_path: Path, arguments: list[str], offline: bool) -> None:
    run = fetch(hub, tmp_path, "ofa-tiny", "blip-base", *arguments, offline=offline)
    assert run.code == 2
    assert "the network is off (HF_HUB_OFFLINE or --offline), so nothing was fetched" in run.err
    assert "ofa-tiny is not here" in run.err
    assert "blip-base is not here" in run.err
    assert hub.asked == []


def test_a_hub_that_does_not_answer_is_asked_once_for_each_model(fetch: Fetch, tmp_path: Path) -> None:
    with dead_address() as address:
        run = fetch(Hub({}), tmp_path, "ofa-tiny", "blip-base", address=address)
    assert run.code == 2
    ofa, blip = run.err.splitlines()
    assert "config.json of OFA-Sys/ofa-tiny cannot be had: the hub is out of reach" in ofa
    assert f"the list of files of {BLIP} cannot be had: the hub is out of reach" in blip


@pytest.mark.torch
def test_what_was_fetched_is_used_without_a_network(
    fetch: Fetch, unprompt: Callable[..., Run], tmp_path: Path, examples: Path
) -> None:
    pytest.importorskip("torch")
    folder = tiny_captioners.write_captioner("blip", tmp_path / "blip")
    hub = Hub({BLIP: {path.name: path.read_bytes() for path in folder.iterdir()}}, large={"model.safetensors"})
    run = fetch(hub, tmp_path, "blip-base")
    assert run.code == 0, run.err
    told = [
        unprompt("interrogate", examples / "coffee.jpg", "--mode", "caption", "--caption", caption, "--offline").out
        for caption in ("blip-base", f"local:{folder}")
    ]
    assert told[0] == told[1]
    assert told[0].strip()


def test_a_cache_that_cannot_be_written_to(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "hf" / "hub").mkdir(parents=True)
    place(tmp_path, OFA).write_text("no folder")
    run = fetch(hub, tmp_path, "ofa-tiny")
    assert run.code == 2
    assert f"cannot write to {place(tmp_path, OFA)}" in run.err


def test_names_that_nobody_knows(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    run = fetch(hub, tmp_path, "ofa-tinny")
    assert run.code == 2
    assert "unknown published model 'ofa-tinny'; did you mean 'ofa-tiny'" in run.err
    run = fetch(hub, tmp_path)
    assert run.code == 2
    assert "expected models or --preset NAME" in run.err


def test_a_fault_of_the_hub_does_not_lead_to_other_weights(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    hub.barred = {"open_clip_model.safetensors"}
    run = fetch(hub, tmp_path, "ViT-B-32.laion2b_s34b_b79k")
    assert run.code == 2
    assert "403" in run.err
    assert hub.asked == []


def test_what_every_name_came_to_is_said(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    hub.files[CLIP] = {"README.md": b"# CLIP"}
    hub.barred = {"open_clip_pytorch_model.bin"}
    run = fetch(hub, tmp_path, "ViT-B-32.laion2b_s34b_b79k")
    assert run.code == 2
    assert "404" in run.err
    assert "403" in run.err


def test_both_banks_of_a_preset_are_said(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    preset = tmp_path / "own.toml"
    banks = [tmp_path / "one.bank", tmp_path / "two.bank"]
    preset.write_text(
        "".join(
            f'[[members]]\nname = "{bank.stem}"\nkind = "neighbours"\nmodel = "embedded"\nbank = "{bank}"\n'
            for bank in banks
        )
    )
    run = fetch(hub, tmp_path, "--preset", str(preset), "--offline")
    assert run.code == 2
    for bank in banks:
        assert f"bank {bank} is not here" in run.err


def test_of_an_architecture_the_tags_that_are_known_are_offered(fetch: Fetch, hub: Hub, tmp_path: Path) -> None:
    run = fetch(hub, tmp_path, "ViT-H-14")
    assert run.code == 2
    assert "unknown published model 'ViT-H-14'; known: ViT-H-14.laion2b_s32b_b79k" in run.err
