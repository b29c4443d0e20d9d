"""What a bank needs: it counts as here when it can be opened."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from unprompt.bank.bank import Bank
from unprompt.bank.building import build_bank
from unprompt.bank.needs import bank_need
from unprompt.members.kinds import needs_of
from unprompt.members.member import MemberSpec
from unprompt.members.neighbours import NeighboursOptions
from unprompt.towers.embedded import EmbeddedPair


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    folder = tmp_path_factory.mktemp("needs") / "bank"
    return build_bank([f"a fox in the snow, number {number}" for number in range(20)], folder, EmbeddedPair(1))


def cut(folder: Path) -> None:
    data = (folder / "prompts.txt").read_bytes()
    (folder / "prompts.txt").write_bytes(data[:-10])


def test_a_whole_bank_is_here(bank: Bank) -> None:
    need = bank_need(bank.folder, "embedded")
    assert need.is_here
    (file,) = need.files
    assert file.size == sum(path.stat().st_size for path in bank.folder.iterdir())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, r"expected [\d,]+ bytes in prompts\.txt, found"),
        (lambda folder: (folder / "config.json").rename(folder / "building.json"), "is half built; run the same"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], r"expected a bank with a config\.json"),
    ],
)
def test_a_bank_that_cannot_be_opened_is_not_here(
    bank: Bank, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    folder = shutil.copytree(bank.folder, tmp_path / "copy")
    spoil(folder)
    spec = MemberSpec("neighbours", "neighbours", "embedded", 1.0, NeighboursOptions(str(folder)))
    (need,) = [need for need in needs_of(spec) if not need.is_here]
    assert [file.place for file in need.missing] == [folder]
    with pytest.raises(type(need.absence()), match=message):
        raise need.absence()


def test_where_no_bank_is_it_says_how_to_make_one(tmp_path: Path) -> None:
    need = bank_need(tmp_path / "none", "ViT-L-14.openai")
    assert str(need.absence()).endswith(
        f"make it with 'unprompt bank build PROMPTS --clip ViT-L-14.openai -o {tmp_path / 'none'}'"
    )
