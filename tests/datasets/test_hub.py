"""Data sets of the hub: local copies in the same layouts, and what is said where there is none."""

import os
import sys
from pathlib import Path

import pytest
from dataset_layouts import HUB, LAYOUTS, Record, picture, records, write_jsonl, write_parquet

from unprompt.datasets.pairs import Pair, checked_pairs, read_pairs
from unprompt.errors import DataError, MissingExtraError

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.usefixtures("hub_cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        write_parquet(tmp_path / "set" / "data" / f"{split}-0-of-1.parquet", records(4))
    return tmp_path / "set"


def test_a_split(folder: Path) -> None:
    assert [pair.name for pair in checked_pairs(f"hub:{folder}:train")[0]] == [f"train/{row}" for row in range(4)]
    assert len(checked_pairs(f"hub:{folder}:train[:3]")[0]) == 3


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("", r"expected hub:.*set:SPLIT with the name of one split; it has test, train"),
        (":dev", r"expected a data set at hub:.*:dev, found: Unknown split .dev."),
    ],
)
def test_splits_that_are_not_there(folder: Path, rest: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        checked_pairs(f"hub:{folder}{rest}")


@pytest.mark.parametrize("layout", HUB)
def test_what_each_layout_says_beside_the_prompt(tmp_path: Path, layout: str) -> None:
    pairs, _faults = checked_pairs(LAYOUTS[layout](tmp_path, records(3)))
    assert [pair.fields["seed"] for pair in pairs] == [0, 1, 2]
    assert pairs[2].name == "train/2"


def test_offline_is_said() -> None:
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    with pytest.raises(DataError, match=r"hub:poloclub/diffusiondb/2m_first_1k:train, .* the hub is disabled"):
        checked_pairs("hub:poloclub/diffusiondb/2m_first_1k:train")


def test_a_script_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "set.py").write_text(f"open({str(tmp_path / 'it ran')!r}, 'w')")
    with pytest.raises(DataError, match="no code of a data set is run here"):
        checked_pairs(f"hub:{tmp_path}/set")
    assert not (tmp_path / "it ran").exists()


def test_broken_files(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(DataError, match=r"expected a data set at hub:.*, found: .*Parquet"):
        checked_pairs(f"hub:{tmp_path}")


def outside(tmp_path: Path, path: str) -> Pair:
    """The first pair of a table that names a file of the machine instead of holding a picture."""
    row: Record = {**records(1)[0], "file_name": path, "picture": None}
    write_parquet(tmp_path / "set" / "train.parquet", [row])
    pair = next(iter(read_pairs(f"hub:{tmp_path}/set")))
    assert isinstance(pair, Pair)
    return pair


@pytest.mark.parametrize("name", ["outside.png", "set/../outside.png", "set/link.png", "none.png", "set/\0.png"])
def test_a_table_cannot_name_files_of_this_machine(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside.png").write_bytes(picture(1))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "outside.png")
    outside(tmp_path, f"{tmp_path}/{name}")
    with pytest.raises(DataError, match=r"missing-file: .* expected a picture's bytes, found none"):
        checked_pairs(f"hub:{tmp_path}/set")


def test_files_below_the_folder_are_read(tmp_path: Path) -> None:
    pairs, _faults = checked_pairs(f"hub:{write_jsonl(tmp_path / 'set/train/metadata.jsonl', records(2)).parents[1]}")
    assert pairs[1].picture.read() == records(2)[1]["picture"]


def test_without_the_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"unprompt\[datasets\]"):
        next(iter(read_pairs(f"hub:{folder}:train")))
