"""Names of pictures in lists: relative, absolute, of Windows, and those that lead out."""

import os
from pathlib import Path

import pytest
from dataset_layouts import picture

from unprompt.datasets.pairs import Fault, Pair, checked_pairs, read_pairs
from unprompt.datasets.places import picture_named
from unprompt.errors import DataError

posix = pytest.mark.skipif(os.name != "posix", reason="names of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set" / "cats").mkdir(parents=True)
    (tmp_path / "set" / "cats" / "0.png").write_bytes(picture(1))
    (tmp_path / "link").symlink_to("set")
    return tmp_path / "set"


@pytest.mark.parametrize(
    "name", ["cats/0.png", "./cats//0.png", "cats\\0.png", ".\\cats\\0.png", "cats\\./0.png", "{}/cats/0.png"]
)
def test_one_picture_by_many_names(folder: Path, name: str) -> None:
    found = picture_named(str(folder), name.format(folder), "list:1", "file_name")
    assert not isinstance(found, Fault)
    assert found[0] == "cats/0.png"
    assert found[1].read() == picture(1)


def test_an_absolute_name_through_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    for root, name in ((link, f"{folder}/cats/0.png"), (link, f"{link}/cats/0.png")):
        found = picture_named(str(root), name, "list:1", "file_name")
        assert not isinstance(found, Fault)
        assert found[0] == "cats/0.png"


@posix
def test_a_name_that_has_a_backslash_itself(folder: Path) -> None:
    (folder / "a\\b.png").write_bytes(picture(2))
    found = picture_named(str(folder), "a\\b.png", "list:1", "file_name")
    assert not isinstance(found, Fault)
    assert (found[0], found[1].read()) == ("a\\b.png", picture(2))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/data/cats/0.png", "found the absolute path /data/cats/0.png; write cats/0.png, which is there"),
        (
            "https://example.com/a/x.png",
            "found the address https://example.com/a/x.png; download it, and name the file",
        ),
        ("file:///data/cats/0.png", "found the address file:///data/cats/0.png; write cats/0.png, which is there"),
        ("D:\\set\\cats\\0.png", "of Windows; write cats/0.png, which is there"),
        ("D:/set/cats/0.png", "of Windows; write cats/0.png, which is there"),
        (
            "\\\\server\\set\\x.png",
            "of Windows; write it relative to that folder, or give the folder .*: --root FOLDER",
        ),
        ("/elsewhere/x.png", "the absolute path /elsewhere/x.png; .* --root FOLDER"),
        ("..\\x.png", r"found \.\.\\x\.png; put the picture there"),
        ("../cats/0.png", "write cats/0.png, which is there"),
        ("{}/../x.png", "--root FOLDER"),
        ("{}", "--root FOLDER"),
    ],
)
def test_names_that_lead_out(folder: Path, name: str, said: str) -> None:
    fault = picture_named(str(folder), name.format(folder), "list:1", "file_name")
    assert isinstance(fault, Fault)
    assert fault.kind == "outside-folder"
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(fault.message)


def test_the_rule_names_the_folder_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    fault = picture_named("", "/elsewhere/x.png", "list:1", "file_name")
    assert isinstance(fault, Fault)
    assert f"expected a path within {folder}, " in fault.message


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_list_apart_from_its_pictures(folder: Path, suffix: str) -> None:
    table = folder.parent / "lists" / f"all.{suffix}"
    table.parent.mkdir()
    table.write_text(
        '{"file_name": "cats/0.png", "text": "a cat"}\n' if suffix == "jsonl" else "file_name,text\ncats/0.png,a cat\n"
    )
    with pytest.raises(DataError, match=r"missing-file: .*or give its folder as --root"):
        checked_pairs(table)
    (pair,) = read_pairs(table, folder)
    assert isinstance(pair, Pair)
    assert (pair.name, pair.picture.read()) == ("cats/0.png", picture(1))
    assert len(checked_pairs(table, root=folder)[0]) == 1
