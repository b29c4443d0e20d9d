"""Folders of captioners: what they must hold, and the hub's cache without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unprompt.captioners.folder import HubSource, LocalSource
from unprompt.errors import ModelError

constants = pytest.importorskip("huggingface_hub.constants")

REPOSITORY = "Salesforce/blip-image-captioning-base"
COMMIT = "89b09ea1789f7addf2f6d6f0dfc4ce10ab58ef84"
INDEX = {"weight_map": {"a.weight": "model-1.safetensors", "b.weight": "model-2.safetensors"}}


def _write(folder: Path, *, lacking: tuple[str, ...] = (), config: str = '{"model_type": "blip"}') -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": config,
        "preprocessor_config.json": "{}",
        "tokenizer.json": "{}",
        "model.safetensors": "weights",
    }
    for name, text in files.items():
        if name not in lacking:
            (folder / name).write_text(text)
    return folder


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the snapshot of REPOSITORY lies in a cache of the hub's; the network is off in all tests."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / f"models--{REPOSITORY.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return repository / "snapshots" / COMMIT


def test_a_whole_folder(tmp_path: Path) -> None:
    source = LocalSource(_write(tmp_path))
    assert source.kind == "blip"
    assert source.folder.path == tmp_path
    assert source.folder.safe


def test_pickled_weights_are_taken_where_there_are_no_others(tmp_path: Path) -> None:
    _write(tmp_path, lacking=("model.safetensors",))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    assert not LocalSource(tmp_path).folder.safe
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert LocalSource(tmp_path).folder.safe


def test_everything_that_a_folder_lacks_is_told_at_once(tmp_path: Path) -> None:
    _write(tmp_path, lacking=("preprocessor_config.json", "tokenizer.json", "model.safetensors"))
    with pytest.raises(ModelError, match=r"expected preprocessor_config.json, tokenizer.json, model.safetensors"):
        _ = LocalSource(tmp_path).folder


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    _write(tmp_path, lacking=("model.safetensors",))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(INDEX))
    (tmp_path / "model-1.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"expected model-2\.safetensors beside"):
        _ = LocalSource(tmp_path).folder
    (tmp_path / "model-2.safetensors").write_bytes(b"")
    assert LocalSource(tmp_path).folder.safe


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": {"a": "../x"}}, {"weight_map": {"a": 1}}])
def test_an_index_that_names_no_files_beside_it(tmp_path: Path, index: object) -> None:
    _write(tmp_path, lacking=("model.safetensors",))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="expected weight_map to name a file beside it for each weight"):
        _ = LocalSource(tmp_path).folder


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("{", "cannot read"),
        ("[]", "expected a table of names and values, found list"),
        ("{}", "expected a captioner, model_type blip, blip-2, git, .*qwen3_vl.*; found None"),
        ('{"model_type": ["blip"]}', r"found \['blip'\]"),
        ("[" * 100_000, "cannot read"),
        ('{"model_type": "blip", "auto_map": {}}', "asks to run code that came with the model"),
        ('{"model_type": "blip", "text_config": {"\\u0061uto_map": {}}}', "asks to run code that came with the model"),
        ('{"model_type": "moondream1", "auto_map": {}}', r"never done; take a server that runs it .* in its place"),
        ('{"model_type": "phi3_v", "auto_map": {}}', "never done; take qwen3-vl-4b in its place"),
        ('{"model_type": "qwen3_vl", "auto_map": {}}', "never done; take a captioner by name in its place"),
        ('{"model_type": "blip", "a": [[{"b": {"auto_map": 1}}]]}', "asks to run code that came with the model"),
        (f'{{"model_type": "blip", "x": "{"x" * (17 << 20)}"}}', "has more than 16 MB"),
    ],
)
def test_a_config_that_is_none_of_a_captioner(tmp_path: Path, config: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        LocalSource(_write(tmp_path, config=config))


def test_the_identity_changes_with_any_file(tmp_path: Path) -> None:
    identities = {LocalSource(_write(tmp_path)).folder.identity()}
    assert LocalSource(tmp_path).folder.identity() in identities
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"):
        with (tmp_path / name).open("a") as file:
            file.write(" ")
        identities.add(LocalSource(tmp_path).folder.identity())
    assert len(identities) == 5


def test_the_hubs_cache_is_enough_without_a_network(cached: Path) -> None:
    _write(cached)
    folder = HubSource("blip-base", "blip", REPOSITORY).folder
    assert folder.path == cached
    assert folder.identity() == COMMIT[:12]


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        (("model.safetensors",), "expected model.safetensors of"),
        (("tokenizer.json", "model.safetensors"), "expected tokenizer.json, model.safetensors of"),
    ],
)
def test_what_the_hubs_cache_lacks_is_told_with_the_place_where_it_belongs(
    cached: Path, lacking: tuple[str, ...], told: str
) -> None:
    _write(cached, lacking=lacking)
    with pytest.raises(ModelError) as raised:
        _ = HubSource("blip-base", "blip", REPOSITORY).folder
    assert f"the weights of blip-base are not here: {told} {REPOSITORY} in {constants.HF_HUB_CACHE}" in str(
        raised.value
    )
    assert "the network is off (HF_HUB_OFFLINE)" in str(raised.value)


def test_a_repository_that_the_cache_does_not_have_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    expected = r"blip-base are not here: expected config\.json, preprocessor_config\.json, tokenizer\.json, model\.saf"
    with pytest.raises(ModelError, match=expected):
        _ = HubSource("blip-base", "blip", REPOSITORY).folder


def test_a_repository_that_holds_another_model(cached: Path) -> None:
    _write(cached, config='{"model_type": "git"}')
    with pytest.raises(ModelError, match="expected a model of the type blip, found git"):
        _ = HubSource("blip-base", "blip", REPOSITORY).folder
