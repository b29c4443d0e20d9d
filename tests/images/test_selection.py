"""What a folder stands for, and what it passes over."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from unprompt.errors import PictureError
from unprompt.images.selection import Selection, decodable, readable
from unprompt.images.sources import count, image_refs

NAMES = ("a.png", "b.HEIC", "c.heif", "d.jxl", "e.mp4", "f.webm", "notes.txt", ".hidden.heic", "sub/g.hif")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pillow_heif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, module, None)


def names(folder: Path, selection: Selection) -> list[str]:
    found = [Path(ref.source).name for ref in image_refs(str(folder), selection=selection)]
    assert count(str(folder), selection=selection) == len(found)
    return found


def test_with_the_extra_all_pictures_are_taken(folder: Path) -> None:
    selection = decodable()
    assert names(folder, selection) == ["a.png", "b.HEIC", "c.heif", "d.jxl", "g.hif"]
    assert selection.line() == (
        "passed over 1 MP4, 1 WebM (of videos, `unprompt metadata` shows the prompt that is written)"
    )


@pytest.mark.usefixtures("without_extra")
def test_without_it_they_are_named_with_what_installs_it(folder: Path) -> None:
    selection = decodable()
    assert names(folder, selection) == ["a.png"]
    assert selection.line().startswith(
        "passed over 3 HEIC, 1 JPEG XL (pip install 'unprompt[formats]' reads them); 1 MP4"
    )
    assert names(folder / "sub", decodable()) == ["sub"]


@pytest.mark.usefixtures("without_extra")
def test_a_folder_of_nothing_else_says_so(folder: Path) -> None:
    [ref] = image_refs(str(folder / "sub"))
    with pytest.raises(PictureError, match=r"no pictures in the folder; passed over 1 HEIC \(pip install") as caught:
        ref.read()
    assert caught.value.kind == "no-pictures"


@pytest.mark.usefixtures("without_extra")
def test_a_pattern_with_a_suffix_takes_what_it_names(folder: Path) -> None:
    selection = decodable()
    assert [Path(ref.source).name for ref in image_refs(f"{folder}/*.heif", selection=selection)] == ["c.heif"]
    assert selection.line() == ""
    assert len([*image_refs(f"{folder}/*", selection=selection)]) == 1
    assert selection.passed_over == {"HEIC": 2, "JXL": 1, "MP4": 1, "WEBM": 1}


@pytest.mark.usefixtures("without_extra")
def test_texts_are_read_from_all(folder: Path) -> None:
    selection = readable()
    assert names(folder, selection) == ["a.png", "b.HEIC", "c.heif", "d.jxl", "e.mp4", "f.webm", "g.hif"]
    assert selection.line() == ""
