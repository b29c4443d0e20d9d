"""A bank whose prompts were encoded in shards is, to the byte, the one that a single process builds."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from bank.conftest import clip_towers, prompts

from unprompt.bank import building
from unprompt.bank.building import Counts, Encoded, build_bank, encoding
from unprompt.bank.layout import Makers
from unprompt.errors import DataError
from unprompt.scale.banks import encode_shard, known_vectors, list_portions, run_of
from unprompt.scale.runs import Run, join_run
from unprompt.scale.shards import Shards, Work, part_name
from unprompt.towers.embedded import EmbeddedPair
from unprompt.towers.two_tower import TwoTower

TEXTS = [*prompts(50), "  ", prompts(50)[3]]


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_PORTION", 8)


def begun(folder: Path, towers: TwoTower, shards: int) -> Run:
    run = run_of(Makers.of(towers), list_portions(TEXTS, Counts()), shards, 60.0, [])
    join_run(folder, run)
    return run


def encode_all(folder: Path, towers: TwoTower, shards: int) -> Run:
    run = begun(folder, towers, shards)
    with encoding(towers, Makers.of(towers), 1) as encode:
        for work in Shards(folder, shards, 60.0).work(range(shards)):
            assert isinstance(work, Work)
            with work:
                encode_shard(work, run, TEXTS, encode)
                work.publish()
    return run


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("shards", [1, 3, 9])
def test_the_same_bank(tmp_path: Path, towers: EmbeddedPair, shards: int) -> None:
    run = encode_all(tmp_path / "out", towers, shards)
    build_bank(TEXTS, tmp_path / "one", towers, threads=1)
    build_bank(TEXTS, tmp_path / "two", towers, threads=1, known=known_vectors(tmp_path / "out", run))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.torch
def test_vectors_of_another_model_are_kept_as_well(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import tiny_open_clip
    from safetensors.torch import save_file

    weights = {name: value.contiguous() for name, value in tiny_open_clip.build().state_dict().items()}
    save_file(weights, tmp_path / "clip.safetensors")
    towers = clip_towers(tmp_path / "clip.safetensors")
    run = encode_all(tmp_path / "out", towers, 2)
    build_bank(TEXTS, tmp_path / "one", towers, threads=1)
    build_bank(TEXTS, tmp_path / "two", towers, threads=1, known=known_vectors(tmp_path / "out", run))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_what_was_encoded_before_a_stop_is_kept(tmp_path: Path, towers: EmbeddedPair) -> None:
    run = begun(tmp_path, towers, 2)
    encoded = []
    with encoding(towers, Makers.of(towers), 1) as encode:

        def counted(portion: Sequence[str]) -> Encoded:
            encoded.append(portion)
            if len(encoded) == 3:
                raise KeyboardInterrupt
            return encode(portion)

        for _ in range(2):
            work = next(Shards(tmp_path, 2, 60.0).work([0]))
            assert isinstance(work, Work)
            with suppress(KeyboardInterrupt), work:
                encode_shard(work, run, TEXTS, counted)
                work.publish()
    assert len(encoded) == 5  # four portions, of which one was begun twice
    assert len((tmp_path / part_name(0)).read_bytes().splitlines()) == 4


def test_other_prompts_are_refused(tmp_path: Path, towers: EmbeddedPair) -> None:
    run = encode_all(tmp_path / "out", towers, 2)
    others = [*TEXTS[:20], "another", *TEXTS[20:]]
    with pytest.raises(DataError, match="expected vectors of these prompts"):
        build_bank(others, tmp_path / "bank", towers, threads=1, known=known_vectors(tmp_path / "out", run))
    with pytest.raises(DataError, match="found none"):
        list_portions(["  "], Counts())
