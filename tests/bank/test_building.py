"""Building: what is done stays done, and the bytes are always the same."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bank.conftest import clip_towers, prompts

from unprompt.bank import building
from unprompt.bank.bank import Bank, verify
from unprompt.bank.building import Counts, build_bank
from unprompt.errors import DataError
from unprompt.towers.embedded import EmbeddedPair


class BrokenOffError(Exception):
    """Ends a build in the middle."""


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def breaking(texts: list[str], after: int) -> Iterator[str]:
    yield from texts[:after]
    raise BrokenOffError


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_PORTION", 16)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, towers: EmbeddedPair) -> Path:
    """A bank of 100 prompts in portions of 16."""
    folder = tmp_path_factory.mktemp("whole") / "bank"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "_PORTION", 16)
        build_bank(prompts(100), folder, towers, threads=1)
    return folder


def test_the_number_of_threads_changes_nothing(tmp_path: Path, whole: Path, towers: EmbeddedPair) -> None:
    build_bank(prompts(100), tmp_path / "bank", towers, threads=3)
    assert files_of(tmp_path / "bank") == files_of(whole)
    verify(tmp_path / "bank")


@pytest.mark.parametrize("breaks", [[1], [15], [16], [40, 10, 97], [100, 100]])
def test_a_build_that_was_broken_off_goes_on(
    tmp_path: Path, whole: Path, towers: EmbeddedPair, breaks: list[int]
) -> None:
    folder = tmp_path / "bank"
    for after in breaks:
        with pytest.raises(BrokenOffError):
            build_bank(breaking(prompts(100), after), folder, towers, threads=1)
        with pytest.raises(DataError, match="is half built; run the same 'unprompt bank build' again"):
            Bank.open(folder)
    build_bank(prompts(100), folder, towers, threads=1)
    assert files_of(folder) == files_of(whole)


def test_what_is_done_is_not_encoded_again(
    tmp_path: Path, towers: EmbeddedPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    encode = building._sentences
    monkeypatch.setattr(building, "_sentences", lambda *given: (encoded.append(len(given[2])), encode(*given))[1])
    with pytest.raises(BrokenOffError):
        build_bank(breaking(prompts(100), 50), tmp_path / "bank", towers, threads=1)
    assert encoded == [16, 16, 16]
    build_bank(prompts(100), tmp_path / "bank", towers, threads=1)
    assert encoded[3:] == [16, 16, 16, 4]


@pytest.mark.parametrize("name", ["prompts.txt", "sentences.f16", "ends.u64"])
@pytest.mark.parametrize("left", [0, 100, 513])
def test_whatever_a_kill_left_is_mended(
    tmp_path: Path, whole: Path, towers: EmbeddedPair, name: str, left: int
) -> None:
    folder = tmp_path / "bank"
    with pytest.raises(BrokenOffError):
        build_bank(breaking(prompts(100), 64), folder, towers, threads=1)
    (folder / name).write_bytes((folder / name).read_bytes()[:left])
    with (folder / "sentences.f16").open("ab") as file:
        file.write(b"half a vector")
    build_bank(prompts(100), folder, towers, threads=1)
    assert files_of(folder) == files_of(whole)


def test_other_prompts_do_not_go_on_with_a_bank(tmp_path: Path, towers: EmbeddedPair) -> None:
    folder = tmp_path / "bank"
    with pytest.raises(BrokenOffError):
        build_bank(breaking(prompts(100), 64), folder, towers, threads=1)
    before = files_of(folder)
    with pytest.raises(DataError, match=r"begun with other prompts .* give the same ones, or remove the folder"):
        build_bank(prompts(100)[::-1], folder, towers, threads=1)
    with pytest.raises(DataError, match="begun with more prompts than were given now"):
        build_bank(prompts(100)[:40], folder, towers, threads=1)
    assert files_of(folder) == before


def test_another_model_does_not_go_on_with_a_bank(tmp_path: Path, towers: EmbeddedPair) -> None:
    folder = tmp_path / "bank"
    with pytest.raises(BrokenOffError):
        build_bank(breaking(prompts(100), 64), folder, towers, threads=1)
    begun = folder / "building.json"
    begun.write_text(begun.read_text().replace('"sentences": "', '"sentences": "x'))
    with pytest.raises(DataError, match="begun with embedded, float16 numbers, or with other weights"):
        build_bank(prompts(100), folder, towers, threads=1)
    begun.write_text("{}")
    with pytest.raises(DataError, match="expected the layout"):
        build_bank(prompts(100), folder, towers, threads=1)


@pytest.mark.torch
def test_a_build_goes_on_in_either_precision(tmp_path: Path, clip_weights: Path) -> None:
    folder = tmp_path / "bank"
    with pytest.raises(BrokenOffError):
        build_bank(breaking(prompts(32), 32), folder, clip_towers(clip_weights), threads=1)
    build_bank(prompts(32), folder, clip_towers(clip_weights, "cuda"), threads=1)  # which has nothing left to encode
    verify(folder)


def test_nothing_is_overwritten(tmp_path: Path, whole: Path, towers: EmbeddedPair) -> None:
    shutil.copytree(whole, tmp_path / "bank")
    with pytest.raises(DataError, match="expected a new folder for the bank, found a finished bank"):
        build_bank(prompts(3), tmp_path / "bank", towers)
    assert files_of(tmp_path / "bank") == files_of(whole)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(DataError, match=r"found thesis\.txt"):
        build_bank(prompts(3), tmp_path / "mine", towers)
    assert files_of(tmp_path / "mine") == {"thesis.txt": b"x"}


def test_prompts_are_cleaned_and_kept_once(tmp_path: Path, towers: EmbeddedPair) -> None:
    counts = Counts()
    given = [
        "a fox\x00 in\tsnow\n",
        "a fox in snow",
        "  a   fox in snow\r\n",
        "",
        "\x1b[31m\x00 \u2028",
        "two\u2028lines\x85of\x0btext",
        "lone \ud800 surrogate",
        "x" * 4096,
        "x" * 4097,
        "y" * 2_000_000,
        "кот 🐈",
    ]
    bank = build_bank(given, tmp_path / "bank", towers, threads=1, counts=counts)
    kept = ["a fox in snow", "two lines of text", "lone \ufffd surrogate", "x" * 4096, "кот 🐈"]
    assert bank.texts(range(len(bank))) == kept
    assert (tmp_path / "bank" / "prompts.txt").read_text(encoding="utf-8").split("\n") == [*kept, ""]
    assert counts == Counts(read=11, copies=2, empty=2, too_long=2)


def test_copies_are_dropped_across_portions(tmp_path: Path, towers: EmbeddedPair) -> None:
    texts = prompts(40)
    assert build_bank([*texts, *texts, *texts], tmp_path / "bank", towers, threads=1).texts(range(40)) == texts


@pytest.mark.parametrize("given", [[], ["", " \x00"]])
def test_no_prompts_are_no_bank(tmp_path: Path, towers: EmbeddedPair, given: list[str]) -> None:
    with pytest.raises(DataError, match="expected prompts for the bank, found none"):
        build_bank(given, tmp_path / "bank", towers)
    assert not (tmp_path / "bank").exists()
    build_bank(["a fox"], tmp_path / "bank", towers)


def test_prompts_that_cannot_be_read_begin_no_bank(tmp_path: Path, towers: EmbeddedPair) -> None:
    with pytest.raises(BrokenOffError):
        build_bank(breaking(prompts(3), 0), tmp_path / "bank", towers)
    assert not (tmp_path / "bank").exists()
