"""Pictures by their imgId."""

import os
from pathlib import Path

import pytest

from unprompt.errors import DataError
from unprompt.kaggle.pictures import find_pictures, in_order


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_names_without_suffixes_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "10.JPG", "2.webp", "deeper/a.b_c.png", "notes.txt", ".hidden.png", "more.tar")
    found = find_pictures(tmp_path)
    assert list(found) == ["10", "2", "a.b_c", "b"]
    assert found["a.b_c"].file == found["a.b_c"].source == str(tmp_path / "deeper" / "a.b_c.png")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "expected pictures in .*found none"),
        (["notes.txt"], "expected pictures in .*found none"),
        (["a.png", "a.jpg", "b.png"], "one picture for each imgId, found .*a.jpg, .*a.png; rename"),
        (["one/a.png", "two/a.png"], "one picture for each imgId, found .*one/a.png, .*two/a.png; rename"),
        ([f"{n}.{suffix}" for n in range(9) for suffix in ("png", "jpg")], r"2\.jpg, \.\.\.; rename"),
        (["a,b.png", "c.png"], "without commas.*found .*a,b.png; rename"),
        (['a"b.png'], 'without commas.*found .*a"b.png; rename'),
        (["a\nb.png"], r"without commas.*found .*a\\nb.png; rename"),
        (["a\udcffb.png"], r"without commas.*found .*a\\udcffb.png; rename"),
    ],
)
def test_what_makes_no_submission(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_pictures(touch(tmp_path, *names))


def test_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    for path in (tmp_path / "none", tmp_path / "a.png"):
        with pytest.raises(DataError, match="expected a folder of pictures"):
            find_pictures(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everywhere")
def test_a_closed_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "closed/b.png")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(DataError, match=r"can be listed, found .*closed"):
            find_pictures(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_the_order_of_a_sample(tmp_path: Path) -> None:
    found = find_pictures(touch(tmp_path, "a.png", "b.png", "c.png"))
    assert list(in_order(found, ["c", "a"])) == ["c", "a"]
    with pytest.raises(DataError, match=r"each of the 8 images of the sample, found none for 7: 0, 1, 2, 3, 4, \.\.\."):
        in_order(found, ["a", *map(str, range(7))])
